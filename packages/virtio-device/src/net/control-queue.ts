import { VIRTIO_NET_ACK, VIRTIO_NET_CTRL_CLASS } from '@ringwire/virtio-spec/net';
import { ChainBurst } from '@ringwire/virtqueue';
import { CoalescingCommands } from './ctrl-coalescing.js';
import { ControlCommand, type ControlHandler } from './ctrl-command.js';
import { FilterCommands } from './ctrl-filter.js';
import { STATISTICS_BYTES_MAX, StatisticsCommands } from './ctrl-statistics.js';
import { SteeringCommands } from './ctrl-steering.js';
import type { NetDeviceParts } from './net-device-parts.js';
import { NET_DROP } from './net-drop.js';
import { NetQueue } from './net-queue.js';
import { CVQ_STAT, newCvqStatistics, type Statistics } from './net-statistics.js';

const BURST = 16;
const CLASS = VIRTIO_NET_CTRL_CLASS;
const OK: Uint8Array = Uint8Array.of(VIRTIO_NET_ACK.OK);
const ERR: Uint8Array = Uint8Array.of(VIRTIO_NET_ACK.ERR);

/** A command's data is copied up to here, and to a request for each queue's statistics. */
const DATA_BYTES = 4096;
const DATA_BYTES_MAX = 0x1_0000;
const REQUEST_BYTES = 16;
/** Data of a command that other threads are told of; longer ones are refused there. */
export const SHARED_COMMAND_BYTES_MAX = 0x1_0000;

/** virtio 1.4 §5.1.9.5 Control Virtqueue: every command is answered, with the length of what was written. */
export class ControlQueue extends NetQueue {
  readonly coalescingCommands: CoalescingCommands;
  private readonly burst: ChainBurst = new ChainBurst(BURST);
  private readonly command: ControlCommand;
  private readonly dataStatistics: readonly Statistics[];
  private readonly handlers: readonly (ControlHandler | undefined)[];

  constructor(parts: NetDeviceParts) {
    const { state, settings, config, filter, guest, steering, dataQueues } = parts;
    super(state, -1, newCvqStatistics(), -1);
    const wanted = REQUEST_BYTES * (dataQueues.length + 1);
    const dataBytes = Math.min(Math.max(wanted, DATA_BYTES), DATA_BYTES_MAX);
    const resultBytes = (dataBytes / REQUEST_BYTES) * STATISTICS_BYTES_MAX;
    this.command = new ControlCommand(state.memory, dataBytes, resultBytes);
    const filters = new FilterCommands(state, config, filter, guest, parts.policy);
    const steerings = new SteeringCommands(state, steering, settings.rssContexts);
    const statistics = new StatisticsCommands(state, dataQueues, this);
    this.dataStatistics = dataQueues.map((queue) => queue.statistics);
    this.coalescingCommands = new CoalescingCommands(state, dataQueues);
    const handlers: (ControlHandler | undefined)[] = [];
    handlers[CLASS.RX] = (command) => filters.rx(command);
    handlers[CLASS.MAC] = (command) => filters.mac(command);
    handlers[CLASS.VLAN] = (command) => filters.vlan(command);
    handlers[CLASS.ANNOUNCE] = (command) => filters.announce(command);
    handlers[CLASS.GUEST_OFFLOADS] = (command) => filters.guestOffloads(command);
    handlers[CLASS.MQ] = (command) => steerings.mq(command);
    handlers[CLASS.HASH_TUNNEL] = (command) => steerings.hashTunnel(command);
    handlers[CLASS.RSS_CTX] = (command) => steerings.rssContext(command);
    handlers[CLASS.NOTF_COAL] = (command) => this.coalescingCommands.run(command);
    handlers[CLASS.STATS] = (command) => statistics.run(command);
    this.handlers = handlers;
  }

  /** Carry out at most `budget` commands. @returns how many; 1 at least while more are waiting */
  turn(budget: number): number {
    const queue = this.queue;
    if (queue === undefined) return 0;
    let done = 0;
    while (done < budget) {
      this.burst.clear();
      const taken = queue.takeBurst(this.burst, budget - done);
      if (taken === 0) break;
      for (let i = 0; i < taken; i++) this.burst.written[i] = this.run(i);
      queue.putUsedBurst(this.burst, 0, taken);
      this.publish(taken);
      done += taken;
    }
    if (done > 0) this.stopListening();
    else if (this.listen()) return 1;
    return done;
  }

  /** Do what the control plane of this device did, which is another thread's. @param bytes class, command and data */
  obey(bytes: Uint8Array): void {
    this.command.adopt(bytes);
    this.handlers[this.command.class]?.(this.command);
    this.state.epoch++;
  }

  /** Whatever a command changes is changed in all threads that have a part in the device before it is answered. */
  private carryOut(command: ControlCommand, handler: ControlHandler | undefined): boolean {
    const { parts } = this.state;
    if (handler === undefined) return false;
    if (parts === undefined) return handler(command);
    if (command.length > SHARED_COMMAND_BYTES_MAX) return false;
    if (command.class === CLASS.STATS) parts.gather(this.dataStatistics);
    const isDone = handler(command);
    if (isDone && command.class !== CLASS.STATS && command.class !== CLASS.ANNOUNCE) parts.commanded(command.whole());
    return isDone;
  }

  protected override isServed(): boolean {
    return true;
  }

  /** @returns bytes written */
  private run(i: number): number {
    const { burst, command, statistics, state } = this;
    if (burst.fault[i] !== 0 || burst.writableBytes(i) === 0) {
      state.drop(burst.fault[i] === 0 ? NET_DROP.CTRL_NO_ACK : NET_DROP.CTRL_CHAIN_FAULT);
      return 0;
    }
    statistics.add(CVQ_STAT.command_num, 1);
    const handler = command.load(burst, i) ? this.handlers[command.class] : undefined;
    // A reply to this very command has it among the good ones.
    const okBefore = statistics.words.slice(2 * CVQ_STAT.ok_num);
    statistics.add(CVQ_STAT.ok_num, 1);
    if (this.carryOut(command, handler)) return command.answer(OK);
    statistics.words.set(okBefore, 2 * CVQ_STAT.ok_num);
    state.drop(NET_DROP.CTRL_REFUSED);
    return command.answer(ERR);
  }
}
