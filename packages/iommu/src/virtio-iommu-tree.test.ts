import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MappingTree } from './virtio-iommu-tree.js';

/** Mappings of a tree in order, having checked its sizes and its balance on the way. */
function contents(tree: MappingTree, root: number): [number, number][] {
  const found: [number, number][] = [];
  const walk = (node: number): number => {
    if (node === 0) return 0;
    const below = walk(tree.left[node]!);
    found.push([tree.start[node]!, tree.end[node]!]);
    const above = walk(tree.right[node]!);
    expect(tree.size[node]).toBe(below + above + 1);
    expect(Math.max(below, above) + 1).toBeLessThanOrEqual(3 * (Math.min(below, above) + 1));
    return below + above + 1;
  };
  walk(root);
  return found;
}

function depth(tree: MappingTree, node: number): number {
  return node === 0 ? 0 : 1 + Math.max(depth(tree, tree.left[node]!), depth(tree, tree.right[node]!));
}

test('a mapping is found by any of its addresses and by no other', () => {
  const tree = new MappingTree(8);
  const root = tree.insert(tree.insert(0, 0x3000, 0x3fff, 0x9000, 3), 0x1000, 0x1fff, 0xa000, 1);
  expect([0x0fff, 0x1000, 0x1fff, 0x2000, 0x3000, 0x3fff, 0x4000].map((at) => tree.find(root, at) !== 0)).toEqual([
    false,
    true,
    true,
    false,
    true,
    true,
    false,
  ]);
  const found = tree.find(root, 0x1fff);
  expect([tree.physical[found], tree.flags[found]]).toEqual([0xa000, 1]);
  expect(tree.overlaps(root, 0x2000, 0x2fff)).toBe(false);
  expect(tree.overlaps(root, 0x2000, 0x3000)).toBe(true);
  expect(tree.overlaps(root, 0x1fff, 0x2fff)).toBe(true);
  expect(tree.overlaps(root, 0, 0x9999)).toBe(true);
});

test('the highest address, 2^53-1, is an ordinary one', () => {
  const tree = new MappingTree(8);
  const top = 2 ** 53 - 1;
  const root = tree.insert(tree.insert(0, top, top, 1, 1), top - 1, top - 1, 2, 1);
  expect(tree.physical[tree.find(root, top)]).toBe(1);
  expect(tree.physical[tree.find(root, top - 1)]).toBe(2);
  const rest = tree.remove(root, top, top);
  expect(contents(tree, rest)).toEqual([[top - 1, top - 1]]);
  tree.release(tree.cut);
  expect(tree.used).toBe(1);
});

describe('property', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant('insert' as const), at: fc.nat(300), span: fc.nat(0) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('remove' as const), at: fc.nat(300), span: fc.nat(120) }) },
  );

  test('random insertions and removals leave what a sorted list has, balanced, and no node is lost', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const tree = new MappingTree(301);
        const model = new Map<number, number>();
        let root = 0;
        for (const { op, at, span } of steps) {
          if (op === 'insert') {
            if (model.has(at)) continue;
            root = tree.insert(root, at * 16, at * 16 + 15, at, 1);
            model.set(at, at);
          } else {
            root = tree.remove(root, at * 16, (at + span) * 16 + 15);
            for (let one = at; one <= at + span; one++) model.delete(one);
            tree.release(tree.cut);
          }
          expect(tree.used).toBe(model.size);
        }
        const sorted = [...model.keys()].sort((a, b) => a - b);
        expect(contents(tree, root)).toEqual(sorted.map((at) => [at * 16, at * 16 + 15]));
        expect(tree.capacity).toBeLessThanOrEqual(301);
        tree.release(root);
        expect(tree.used).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

test.each(['rising', 'falling', 'from both ends'])('%s insertion order makes no deep tree', (order) => {
  const count = 20_000;
  const tree = new MappingTree(count);
  let root = 0;
  for (let i = 0; i < count; i++) {
    const key = order === 'rising' ? i : order === 'falling' ? count - i : i % 2 === 0 ? i : 2 * count - i;
    root = tree.insert(root, key * 2, key * 2, 0, 1);
  }
  // Neither child has more than 3/4 of the weight: log(20001) / log(4/3) is 34.4.
  expect(depth(tree, root)).toBeLessThanOrEqual(34);
  expect(tree.full).toBe(true);
});

test('nodes of a tree given back whole are used again one by one, and the pool does not grow', () => {
  const tree = new MappingTree(1000);
  let kept = tree.insert(0, 0, 0, 0, 1);
  for (let round = 0; round < 5; round++) {
    let root = 0;
    for (let i = 0; i < 999; i++) root = tree.insert(root, i, i, 0, 1);
    expect([tree.full, tree.capacity]).toEqual([true, 1000]);
    tree.release(root);
    expect(tree.used).toBe(1);
  }
  for (let i = 1; i < 1000; i++) kept = tree.insert(kept, i, i, 0, 1);
  expect(contents(tree, kept).length).toBe(1000);
});

test('IO-15: when the last mapping goes, so does the memory', () => {
  const tree = new MappingTree(1_000_000);
  let root = 0;
  for (let i = 0; i < 100_000; i++) root = tree.insert(root, i, i, 0, 1);
  expect(tree.capacity).toBeGreaterThanOrEqual(100_000);
  tree.release(root);
  expect(tree.capacity).toBe(64);
  expect(contents(tree, tree.insert(0, 7, 7, 7, 1))).toEqual([[7, 7]]);
});
