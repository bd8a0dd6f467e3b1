// The outline of a set that is known on even lines: closed loops, each piece and each
// hole one. Lines are {at, segments}, segments disjoint and in order.
//
// Between two lines the set joins segments that overlap. Each end of a segment has one
// neighbour towards the line before and one towards the line after, so that ends chain
// into loops. Where a segment has none to join, or a gap ends, the set closes half way.

function loopsOf(lines, step) {
  const rows = lines.map(({ at, segments }) => segments.map((span) => span.map((u) => ({ point: [u, at], links: [], isSeen: false }))));
  for (let i = 0; i <= rows.length; i++) {
    const height = i ? lines[i - 1].at + step / 2 : lines[0].at - step / 2;
    for (const [before, after] of joinedRows(rows[i - 1] || [], rows[i] || [])) {
      if (before.length && after.length) {
        link(before[0][0], after[0][0], null);
        link(before[before.length - 1][1], after[after.length - 1][1], null);
      } else for (const [a, b] of [...before, ...after]) link(a, b, height);
      for (const row of [before, after]) row.slice(1).forEach((segment, k) => link(row[k][1], segment[0], height));
    }
  }
  return rows.flat(2).filter((end) => !end.isSeen).map(loopFrom).filter((loop) => loop.length);
}

// Segments of two lines in groups that hang together, each as [of one, of the other].
function joinedRows(before, after) {
  const all = [...before.map((s) => [s, 0]), ...after.map((s) => [s, 1])].sort(([a], [b]) => a[0].point[0] - b[0].point[0]);
  const groups = [];
  let right = -Infinity;
  for (const [segment, side] of all) {
    if (!groups.length || segment[0].point[0] > right) groups.push([[], []]);
    groups[groups.length - 1][side].push(segment);
    right = Math.max(right, segment[1].point[0]);
  }
  return groups;
}

// Two ends that follow each other, through a point between them at a height.
function link(a, b, height) {
  const way = { a, b, through: height === null ? [] : [[(a.point[0] + b.point[0]) / 2, height]] };
  a.links.push(way);
  b.links.push(way);
}

function loopFrom(first) {
  const loop = [];
  for (let end = first, last = null; !end.isSeen;) {
    end.isSeen = true;
    last = end.links.find((way) => way !== last);
    loop.push(end.point, ...last.through);
    end = last.a === end ? last.b : last.a;
  }
  return loop;
}
