import { VirtioError } from '@ringwire/virtio-spec';

/**
 * What a PCI function is to isolation. Ports and bridges may keep the functions below them apart, if they have ACS; a
 * bridge to conventional PCI cannot, for it sends everything under its own id.
 */
export type FunctionKind = 'endpoint' | 'root-port' | 'upstream-port' | 'downstream-port' | 'pci-bridge';

/** One PCI function and where it stands. */
export interface TopologyFunction {
  /** bus << 8 | device << 3 | function; a VF's is its own, on whatever bus that is. */
  readonly sourceId: number;
  readonly kind: FunctionKind;
  /** The port or bridge right above it; none on a root bus. */
  readonly parent?: number;
  /** Whether it has Access Control Services with Source Validation, P2P Request and Completion Redirect and Upstream Forwarding. */
  readonly acs?: boolean;
  /** A virtual function: by SR-IOV it is isolated from its siblings, unless something above it keeps nothing apart. */
  readonly isVirtual?: boolean;
}

/** Where requests to another function can turn round without passing the IOMMU, unless ACS is there. */
const TURNS: Record<FunctionKind, boolean> = {
  endpoint: false,
  'root-port': true,
  'upstream-port': false,
  'downstream-port': true,
  'pci-bridge': true,
};

const HERE = 'PCIe §6.12 ACS';

/**
 * Functions that the IOMMU cannot tell apart or keep apart, and that therefore get one domain together: functions of one
 * device without ACS, all that is below a port without ACS, all that is below a bridge to conventional PCI.
 * @returns source ids, each group and all groups in ascending order
 * @throws VirtioError for a function given twice, or below one that isn't there
 */
export function isolationGroups(functions: readonly TopologyFunction[]): number[][] {
  const byId = new Map<number, TopologyFunction>();
  for (const one of functions) {
    if (byId.has(one.sourceId)) throw new VirtioError('sourceId', one.sourceId, 'a function given once', HERE);
    byId.set(one.sourceId, one);
  }
  const sets = new DisjointSets(byId.keys());
  const siblings = new Map<number, number>();
  for (const one of functions) {
    const turn = highestTurn(one, byId);
    if (turn !== undefined) sets.join(one.sourceId, turn);
    if (one.acs === true || one.isVirtual === true) continue;
    // Functions of the same device may reach one another inside it.
    const device = deviceOf(one, byId);
    const sibling = siblings.get(device);
    if (sibling === undefined) siblings.set(device, one.sourceId);
    else sets.join(one.sourceId, sibling);
  }
  return sets.groups();
}

/**
 * What functions of one device have in common. Below a port is one device, and with ARI its functions have all eight bits
 * of device and function number (PCIe 5.0 §6.13); on other buses the number of the device is theirs.
 */
function deviceOf({ sourceId, parent }: TopologyFunction, byId: ReadonlyMap<number, TopologyFunction>): number {
  const above = parent === undefined ? undefined : byId.get(parent)!.kind;
  return above === 'root-port' || above === 'downstream-port' ? sourceId & ~0xff : sourceId & ~7;
}

/** The port or bridge nearest to the root on a function's way up, itself included, that lets requests turn round. */
function highestTurn(one: TopologyFunction, byId: ReadonlyMap<number, TopologyFunction>): number | undefined {
  let found: number | undefined;
  let at: TopologyFunction | undefined = one;
  for (let steps = 0; at !== undefined; steps++) {
    if (steps > byId.size) throw new VirtioError('parent', one.sourceId, 'a way up that ends at a root bus', HERE);
    if (TURNS[at.kind] && (at.acs !== true || at.kind === 'pci-bridge')) found = at.sourceId;
    if (at.parent === undefined) return found;
    const above = byId.get(at.parent);
    if (above === undefined) throw new VirtioError('parent', at.parent, 'one of the functions', HERE);
    at = above;
  }
  return found;
}

class DisjointSets {
  private readonly parents = new Map<number, number>();

  constructor(members: Iterable<number>) {
    for (const member of members) this.parents.set(member, member);
  }

  join(a: number, b: number): void {
    this.parents.set(this.rootOf(a), this.rootOf(b));
  }

  groups(): number[][] {
    const groups = new Map<number, number[]>();
    for (const member of [...this.parents.keys()].sort((a, b) => a - b)) {
      const root = this.rootOf(member);
      const group = groups.get(root);
      if (group === undefined) groups.set(root, [member]);
      else group.push(member);
    }
    return [...groups.values()];
  }

  private rootOf(member: number): number {
    let at = member;
    for (let above = this.parents.get(at)!; above !== at; above = this.parents.get(at)!) at = above;
    return at;
  }
}
