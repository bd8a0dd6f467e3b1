"""Released loss dumps by name: what there is, and how each comes to this machine."""

from surrogate.dumps.known import DUMPS, Dump, find
from surrogate.dumps.place import cache_folder, fetch, path_of

__all__ = ["DUMPS", "Dump", "cache_folder", "fetch", "find", "path_of"]
