"""Released loss dumps by name: what there is, and how each comes to this machine."""

from surrogate.data.released.known import DUMPS, Dump, find
from surrogate.data.released.place import cache_folder, fetch, path_of

__all__ = ["DUMPS", "Dump", "cache_folder", "fetch", "find", "path_of"]
