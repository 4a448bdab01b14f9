import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { VirtioError } from '@ringwire/virtio-spec';
import {
  type ChangeWatcher,
  type SwitchChange,
  type SwitchState,
  settingsThatDiffer,
  watchedWire,
} from './change-watcher.js';
import { checkMirrors, checkRules } from './check-rules.js';
import { ESWITCH_DROP, type EswitchPortCounters, NO_DROP } from './drop-reason.js';
import type { DropWatcher } from './drop-watcher.js';
import { checkOptions, type EswitchOptions } from './eswitch-options.js';
import type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
import { type Explanation, type ExplanationStep, explained } from './explanation.js';
import type { FlowRule, Mirror } from './flow-rule.js';
import { type CompiledRule, copyRule, type FlowCounters } from './flow-table.js';
import { Forwarding } from './forwarding.js';
import { ForwardingTables } from './forwarding-tables.js';
import { askFor, isGated, tellGate } from './gate-questions.js';
import { Handing } from './handing.js';
import { FRAME_BYTES_MAX, PASSAGE_BYTES, Passage } from './passage.js';
import type { PortSettings, PortWishes } from './port-settings.js';
import { RunPath, UNDECIDED } from './run-path.js';
import { type PortHome, SwitchPort } from './switch-port.js';
import { PLAIN_WIRE, type WireControl, type WireLink } from './wire/wire-settings.js';

/** How deep frames that come back while they are handed on may nest: a bridge that returns what it gets is one. */
const NESTED = 3;
/** Bytes of host memory that a switch works in. */
export const ESWITCH_AREA_BYTES: number = (NESTED + 1) * PASSAGE_BYTES;

const WIRE = 0;
const PHYSICAL = 1;
const FIRST_VIRTUAL = 2;

/** A port, and what went through it. */
export interface CountingPort extends EswitchPort {
  readonly counters: EswitchPortCounters;
}

/**
 * The switch inside a network card: a wire, a physical function, virtual functions, and what each of them may do.
 *
 * Frames go from the sender's memory into each receiver's, copied once per receiver. A receiver without room loses its
 * copy, and holds nobody up. Only the gate, and a wire that is a frame's only receiver, make a sender wait (FULL).
 */
export class Eswitch implements PortHome {
  readonly wire: CountingPort;
  readonly physical: CountingPort;
  readonly virtual: readonly CountingPort[];
  /** Of the virtual functions, in switchdev mode; none otherwise. */
  readonly representors: readonly CountingPort[];
  /** All of them, by number. */
  readonly ports: readonly CountingPort[];
  link: Pick<WireLink, 'speed' | 'duplex'> = { speed: PLAIN_WIRE.speed, duplex: PLAIN_WIRE.duplex };
  wireControl: WireControl | undefined = undefined;
  /** What was set last: {@link setRules}, {@link setMirrors}. */
  flowRules: readonly FlowRule[] = [];
  mirrors: readonly Mirror[] = [];
  private changeWatcher: ChangeWatcher | undefined = undefined;
  private readonly plugs: readonly SwitchPort[];
  private readonly options: Required<EswitchOptions>;
  private readonly tables: ForwardingTables;
  private readonly forwarding: Forwarding;
  private readonly handing: Handing;
  private readonly runs: RunPath;
  /** One for each depth, and the last one for what is only asked. */
  private readonly passages: readonly Passage[];

  /** @throws VirtioError for options that cannot be */
  constructor(options: EswitchOptions) {
    const whole = checkOptions(options, ESWITCH_AREA_BYTES);
    this.options = whole;
    const representors = FIRST_VIRTUAL + whole.virtualFunctions;
    const count = representors + (whole.switchdev ? whole.virtualFunctions : 0);
    this.plugs = Array.from(
      { length: count },
      (_, number) => new SwitchPort(this, number, portKind(number, representors)),
    );
    this.ports = this.plugs;
    this.wire = this.plugs[WIRE]!;
    this.physical = this.plugs[PHYSICAL]!;
    this.virtual = this.plugs.slice(FIRST_VIRTUAL, representors);
    this.representors = this.plugs.slice(representors);
    this.tables = new ForwardingTables(this.plugs, whole);
    this.forwarding = new Forwarding(this.tables);
    this.handing = new Handing(this.plugs);
    this.runs = new RunPath(this.tables, this.forwarding, this.handing);
    this.passages = Array.from(
      { length: NESTED + 1 },
      (_, index) => new Passage(whole.memory, whole.at + index * PASSAGE_BYTES, count),
    );
    this.followWire();
  }

  get isCarried(): boolean {
    return this.options.floating || this.plugs[WIRE]!.isUp;
  }

  get listedPerPort(): number {
    return this.options.listedPerPort;
  }

  get freeAddresses(): number {
    return this.options.macTableEntries - this.tables.listed();
  }

  /** How often each rule matched, in the order of the rules; live. */
  get rules(): readonly FlowCounters[] {
    return this.tables.rules.map(({ counters }) => counters);
  }

  /** Addresses that were learnt of a port, and how often one was not, of any port, because there was no place for it. */
  learnedOf(port: number): { readonly known: number; readonly refused: number } {
    const { learned } = this.tables;
    return { known: learned?.countOf(port) ?? 0, refused: learned?.refused ?? 0 };
  }

  get localSwitching(): boolean {
    return this.tables.localSwitching;
  }

  set localSwitching(isOn: boolean) {
    const before = this.tables.localSwitching;
    if (isOn === before) return;
    this.tables.localSwitching = isOn;
    this.tables.epoch++;
    this.note('host', PHYSICAL, { localSwitching: before }, { localSwitching: isOn });
  }

  /** The wire's speed, which all ports see. A link that is up goes down before, and comes back with it. */
  setLink({ speed, duplex }: Pick<WireLink, 'speed' | 'duplex'>): void {
    if (speed === this.link.speed && duplex === this.link.duplex) return;
    for (const port of this.plugs) port.takeLinkDown();
    this.link = { speed, duplex };
    this.tables.changed(this.plugs[WIRE]!);
    this.followWire();
  }

  /** A `WirePort` is the card's: the physical function's port sets it. */
  giveWire(control: WireControl): void {
    this.wireControl = watchedWire(control, (before) => this.note('host', PHYSICAL, before, control.settings));
  }

  noteSettings({ number, settings }: SwitchPort, by: SwitchChange['by'], before: PortSettings): void {
    this.note(by, number, before, settings);
  }

  noteRefusal({ number, settings }: SwitchPort, wishes: Partial<PortWishes>, { message }: PortRefusal): void {
    const { changeWatcher } = this;
    const difference =
      changeWatcher === undefined ? undefined : settingsThatDiffer({ ...settings, ...wishes }, settings);
    if (difference === undefined) return;
    const { before: after, after: before } = difference;
    changeWatcher!.changed({ by: 'function', port: number, before, after, refused: message });
  }

  ownerOf(mac: Uint8Array, except: SwitchPort): SwitchPort | undefined {
    return this.tables.ownerOf(mac, except);
  }

  changed(port: SwitchPort): void {
    this.tables.changed(port);
    if (port.number === WIRE) this.followWire();
    else port.refreshLink();
    tellGate(this.options.gate, port);
  }

  /** A frame from the device at a port. */
  forward(frame: Frame, from: SwitchPort): Delivered {
    const { tables, handing } = this;
    const { length } = frame;
    if (handing.depth === NESTED) return handing.lose(length, from, ESWITCH_DROP.LOOP, frame);
    if (length < ETHERNET.SIZE || length > FRAME_BYTES_MAX)
      return handing.lose(length, from, ESWITCH_DROP.LENGTH, frame);
    const passage = this.passages[handing.depth]!;
    if (passage.isPlain(frame)) {
      const delivered = this.runs.forwardOne(frame, from, passage);
      if (delivered !== UNDECIDED) return delivered as Delivered;
    }
    if (!passage.enter(frame, tables.headBytes)) return handing.lose(length, from, ESWITCH_DROP.BAD_OFFLOAD, frame);
    tables.refresh();
    const { head, decision } = passage;
    this.forwarding.decide(from, head, passage.longest, decision);
    const { drop } = decision;
    if (drop === NO_DROP) {
      const admitted = askFor(this.options.gate, from, passage);
      if (admitted === DELIVERED.FULL) return admitted;
      if (admitted === DELIVERED.DROPPED) return handing.lose(length, from, ESWITCH_DROP.STORM, head.frame());
    }
    // A receiver may set other ones.
    const { rules } = tables;
    if (handing.hand(passage) === DELIVERED.FULL) return DELIVERED.FULL;
    countRules(rules, passage);
    const { counters } = from;
    counters.copies += drop === NO_DROP ? decision.count - 1 : decision.count;
    if (drop !== NO_DROP) return handing.lose(length, from, drop, head.frame());
    counters.inFrames++;
    counters.inBytes += length;
    tables.learn(from, head);
    return DELIVERED.ACCEPTED;
  }

  /**
   * The first frames of a run, as far as each one's header says all that there is to be decided.
   * @returns how many were dealt with: each of them is with its receiver, or lost
   */
  forwardRun(run: FrameRun, from: SwitchPort): number {
    const { depth } = this.handing;
    if (depth === NESTED || run.memory !== this.options.memory) return 0;
    return this.runs.forward(run, from, this.passages[depth]!);
  }

  /**
   * Say what becomes of which frames, in order: all rules at once, with new counters.
   * @throws VirtioError for a rule that cannot be; then the rules are as before
   */
  setRules(rules: readonly FlowRule[]): void {
    checkRules(rules, this.plugs.length);
    this.tables.setRules(rules);
    const before = this.flowRules;
    this.flowRules = rules.map(copyRule);
    this.note('host', undefined, { rules: before }, { rules: this.flowRules });
  }

  /** Say which ports' frames others get as well: all mirrors at once. @throws VirtioError for one that cannot be */
  setMirrors(mirrors: readonly Mirror[]): void {
    checkMirrors(mirrors, this.plugs.length);
    this.tables.setMirrors(mirrors);
    const before = this.mirrors;
    this.mirrors = mirrors.map((mirror) => ({ ...mirror }));
    this.note('host', undefined, { mirrors: before }, { mirrors: this.mirrors });
  }

  /** Be told of what is dropped from now on, or, with undefined, not any more. */
  watchDrops(watcher: DropWatcher | undefined): void {
    this.handing.watcher = watcher;
  }

  /** Be told of what is set, and of what functions ask for in vain, from now on, or, with undefined, not any more. */
  watchChanges(watcher: ChangeWatcher | undefined): void {
    this.changeWatcher = watcher;
  }

  /**
   * What would become of a frame that came in at a port now, and why. Nothing is changed by asking.
   * @param bytes of a complete frame, from the destination address on
   * @throws VirtioError for a port that there is not
   */
  explain(port: number, bytes: Uint8Array): Explanation {
    const from = this.plugs[port];
    if (from === undefined)
      throw new VirtioError('port', port, `an integer from 0 to ${this.plugs.length - 1}`, 'Eswitch.explain');
    if (bytes.length < ETHERNET.SIZE || bytes.length > FRAME_BYTES_MAX)
      return { port, steps: [{ rule: 'ingress', outcome: 'LENGTH', port }], drop: 'LENGTH', ports: [] };
    this.tables.refresh();
    const passage = this.passages[NESTED]!;
    passage.enterBytes(bytes, this.tables.headBytes);
    const notes: ExplanationStep[] = [];
    const note = (rule: string, outcome: string, at: number): void => void notes.push({ rule, outcome, port: at });
    this.forwarding.decide(from, passage.head, bytes.length, passage.decision, { note });
    return explained(port, notes, passage.decision);
  }

  flush(from: SwitchPort): void {
    this.handing.flush(from);
    if (isGated(from)) this.options.gate.endTurn(from.number);
  }

  deadlineOf(from: SwitchPort): number {
    return isGated(from) ? this.options.gate.deadline(from.number) : Number.POSITIVE_INFINITY;
  }

  private note(
    by: SwitchChange['by'],
    port: number | undefined,
    before: Partial<SwitchState>,
    after: Partial<SwitchState>,
  ): void {
    const { changeWatcher } = this;
    const difference = changeWatcher === undefined ? undefined : settingsThatDiffer(before, after);
    if (difference !== undefined) changeWatcher!.changed({ by, port, ...difference });
  }

  private followWire(): void {
    for (const port of this.plugs) port.refreshLink();
  }
}

function countRules(rules: readonly CompiledRule[], { decision, head }: Passage): void {
  for (let at = 0; at < decision.ruleCount; at++) {
    const { counters } = rules[decision.rules[at]!]!;
    counters.frames++;
    counters.bytes += head.length;
  }
}

function portKind(number: number, representors: number): PortKind {
  if (number === WIRE) return 'wire';
  if (number === PHYSICAL) return 'physical';
  return number < representors ? 'virtual' : 'representor';
}
