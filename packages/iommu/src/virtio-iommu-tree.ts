/** A node's index; 0 is no node, as `left`, `right` and roots have it. */
export type NodeIndex = number;

// Weight-balanced tree: a subtree's weight is its nodes plus one, and neither of two siblings weighs more than DELTA
// times the other. An inner grandchild of at least GAMMA times the outer one's weight asks for a double rotation.
const DELTA = 3;
const GAMMA = 2;
const FIRST_CAPACITY = 64;

/**
 * The mappings of all domains of one device: per domain a search tree over disjoint ranges, whose nodes come out of one
 * pool of typed arrays. Looking up, inserting and removing any stretch of mappings take O(log n) steps, however many go:
 * what was cut off is a tree, and its nodes are taken apart one by one as they are needed again. The balance owes
 * nothing to chance, so that no order of requests makes it worse.
 */
export class MappingTree {
  /** Most mappings at a time. */
  readonly max: number;
  /** Mappings now. */
  used: number;
  /** First and last address of each mapping, and the physical address of its first byte. */
  start: Float64Array;
  end: Float64Array;
  physical: Float64Array;
  /** `VIRTIO_IOMMU_MAP_F` bits. */
  flags: Uint8Array;
  left: Int32Array;
  right: Int32Array;
  /** Nodes of the subtree. In the root of a tree on the free list: the next root there. */
  size: Int32Array;
  /** What {@link remove} cut out: to be read and then given to {@link release}. */
  cut: NodeIndex;
  /** The lowest node that was never used. */
  private fresh: NodeIndex;
  /** Roots of trees to be taken apart. */
  private free: NodeIndex;
  // Second results of `split` and `detachLast`.
  private lower: NodeIndex;
  private upper: NodeIndex;
  private last: NodeIndex;

  /** @param max mappings, at least 1 */
  constructor(max: number) {
    this.max = max;
    this.used = 0;
    this.start = new Float64Array(0);
    this.end = new Float64Array(0);
    this.physical = new Float64Array(0);
    this.flags = new Uint8Array(0);
    this.left = new Int32Array(0);
    this.right = new Int32Array(0);
    this.size = new Int32Array(0);
    this.cut = 0;
    this.fresh = 1;
    this.free = 0;
    this.lower = 0;
    this.upper = 0;
    this.last = 0;
    this.resize(Math.min(FIRST_CAPACITY, max));
  }

  /** Nodes that the arrays have room for; they grow by doubling, and shrink when the last mapping goes. */
  get capacity(): number {
    return this.start.length - 1;
  }

  get full(): boolean {
    return this.used === this.max;
  }

  /** The mapping with the highest start ≤ address, or 0. */
  floor(root: NodeIndex, address: number): NodeIndex {
    const { start, left, right } = this;
    let found = 0;
    let node = root;
    while (node !== 0) {
      if (start[node]! <= address) {
        found = node;
        node = right[node]!;
      } else {
        node = left[node]!;
      }
    }
    return found;
  }

  /** The mapping that holds the address, or 0. */
  find(root: NodeIndex, address: number): NodeIndex {
    const node = this.floor(root, address);
    return node !== 0 && this.end[node]! >= address ? node : 0;
  }

  /** Whether a mapping has an address of `first` to `last`. */
  overlaps(root: NodeIndex, first: number, last: number): boolean {
    const node = this.floor(root, last);
    return node !== 0 && this.end[node]! >= first;
  }

  /**
   * Add a mapping that overlaps none of its domain; the caller saw that the tree isn't {@link full}.
   * @returns the domain's new root
   */
  insert(root: NodeIndex, start: number, end: number, physical: number, flags: number): NodeIndex {
    const node = this.take();
    this.start[node] = start;
    this.end[node] = end;
    this.physical[node] = physical;
    this.flags[node] = flags;
    this.left[node] = 0;
    this.right[node] = 0;
    this.size[node] = 1;
    this.used++;
    return this.insertNode(root, node);
  }

  /**
   * Cut out the mappings that start at `first` to `last`. The caller saw that none of them goes on past `last`.
   * @returns the domain's new root; the cut ones are a tree of their own, see {@link cut}
   */
  remove(root: NodeIndex, first: number, last: number): NodeIndex {
    this.split(root, first);
    const below = this.lower;
    this.split(this.upper, last + 1);
    this.cut = this.lower;
    return this.joinTwo(below, this.upper);
  }

  /** Give back all nodes of a tree. */
  release(root: NodeIndex): void {
    if (root === 0) return;
    this.used -= this.size[root]!;
    if (this.used === 0 && this.capacity > FIRST_CAPACITY) {
      this.fresh = 1;
      this.free = 0;
      this.start = new Float64Array(0);
      this.resize(FIRST_CAPACITY);
      return;
    }
    this.size[root] = this.free;
    this.free = root;
  }

  /** First address of a tree that isn't empty. */
  firstAddress(root: NodeIndex): number {
    let node = root;
    while (this.left[node] !== 0) node = this.left[node]!;
    return this.start[node]!;
  }

  /** Last address of a tree that isn't empty. */
  lastAddress(root: NodeIndex): number {
    let node = root;
    while (this.right[node] !== 0) node = this.right[node]!;
    return this.end[node]!;
  }

  private take(): NodeIndex {
    const node = this.free;
    if (node !== 0) {
      this.free = this.size[node]!;
      this.putFree(this.left[node]!);
      this.putFree(this.right[node]!);
      return node;
    }
    if (this.fresh > this.capacity) this.resize(Math.min(this.max, this.capacity * 2));
    return this.fresh++;
  }

  private putFree(node: NodeIndex): void {
    if (node === 0) return;
    this.size[node] = this.free;
    this.free = node;
  }

  private resize(capacity: number): void {
    const keep = this.start.length;
    const grown = <T extends Float64Array | Int32Array | Uint8Array>(to: T, from: T): T => {
      if (keep > 0) to.set(from);
      return to;
    };
    this.start = grown(new Float64Array(capacity + 1), this.start);
    this.end = grown(new Float64Array(capacity + 1), this.end);
    this.physical = grown(new Float64Array(capacity + 1), this.physical);
    this.flags = grown(new Uint8Array(capacity + 1), this.flags);
    this.left = grown(new Int32Array(capacity + 1), this.left);
    this.right = grown(new Int32Array(capacity + 1), this.right);
    this.size = grown(new Int32Array(capacity + 1), this.size);
  }

  private insertNode(root: NodeIndex, node: NodeIndex): NodeIndex {
    if (root === 0) return node;
    if (this.start[node]! < this.start[root]!) this.left[root] = this.insertNode(this.left[root]!, node);
    else this.right[root] = this.insertNode(this.right[root]!, node);
    return this.balance(root);
  }

  /** Two trees, `lower` with the starts below `key` and `upper` with the others. */
  private split(root: NodeIndex, key: number): void {
    if (root === 0) {
      this.lower = 0;
      this.upper = 0;
    } else if (this.start[root]! < key) {
      this.split(this.right[root]!, key);
      this.lower = this.join(this.left[root]!, root, this.lower);
    } else {
      this.split(this.left[root]!, key);
      this.upper = this.join(this.upper, root, this.right[root]!);
    }
  }

  /** One tree of all that is below `middle`, the node itself, and all that is above. */
  private join(below: NodeIndex, middle: NodeIndex, above: NodeIndex): NodeIndex {
    const belowWeight = this.size[below]! + 1;
    const aboveWeight = this.size[above]! + 1;
    if (belowWeight * DELTA < aboveWeight) {
      this.left[above] = this.join(below, middle, this.left[above]!);
      return this.balance(above);
    }
    if (aboveWeight * DELTA < belowWeight) {
      this.right[below] = this.join(this.right[below]!, middle, above);
      return this.balance(below);
    }
    this.left[middle] = below;
    this.right[middle] = above;
    this.size[middle] = belowWeight + aboveWeight - 1;
    return middle;
  }

  private joinTwo(below: NodeIndex, above: NodeIndex): NodeIndex {
    if (below === 0) return above;
    if (above === 0) return below;
    const rest = this.detachLast(below);
    return this.join(rest, this.last, above);
  }

  /** The tree without its last node, which is `last` then. */
  private detachLast(root: NodeIndex): NodeIndex {
    const right = this.right[root]!;
    if (right === 0) {
      this.last = root;
      return this.left[root]!;
    }
    this.right[root] = this.detachLast(right);
    return this.balance(root);
  }

  /** Put a node in order one of whose subtrees changed, its size and its balance. */
  private balance(node: NodeIndex): NodeIndex {
    const { left, right, size } = this;
    const below = left[node]!;
    const above = right[node]!;
    const belowWeight = size[below]! + 1;
    const aboveWeight = size[above]! + 1;
    size[node] = belowWeight + aboveWeight - 1;
    if (aboveWeight > DELTA * belowWeight) {
      const inner = size[left[above]!]! + 1;
      const outer = size[right[above]!]! + 1;
      if (inner >= GAMMA * outer) right[node] = this.rotateRight(above);
      return this.rotateLeft(node);
    }
    if (belowWeight > DELTA * aboveWeight) {
      const inner = size[right[below]!]! + 1;
      const outer = size[left[below]!]! + 1;
      if (inner >= GAMMA * outer) left[node] = this.rotateLeft(below);
      return this.rotateRight(node);
    }
    return node;
  }

  private rotateLeft(node: NodeIndex): NodeIndex {
    const { left, right, size } = this;
    const top = right[node]!;
    right[node] = left[top]!;
    left[top] = node;
    size[top] = size[node]!;
    size[node] = size[left[node]!]! + size[right[node]!]! + 1;
    return top;
  }

  private rotateRight(node: NodeIndex): NodeIndex {
    const { left, right, size } = this;
    const top = left[node]!;
    left[node] = right[top]!;
    right[top] = node;
    size[top] = size[node]!;
    size[node] = size[left[node]!]! + size[right[node]!]! + 1;
    return top;
  }
}
