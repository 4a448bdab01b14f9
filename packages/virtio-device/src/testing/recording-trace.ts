import type { DeviceTrace } from '../trace/device-trace.js';

/** Writes down what a device tells it. */
export class RecordingTrace implements DeviceTrace {
  readonly events: string[] = [];

  register(isWrite: boolean, name: string, bytes: number, value: number): void {
    this.events.push(`${isWrite ? 'write' : 'read'} ${name} ${bytes} 0x${value.toString(16)}`);
  }

  control(what: string): void {
    this.events.push(what);
  }

  kicked(queue: number, isServed: boolean): void {
    this.events.push(`kick ${queue} ${isServed ? 'served' : 'ignored'}`);
  }

  taken(queue: number, chains: number): void {
    this.events.push(`taken ${queue} ${chains}`);
  }

  givenBack(queue: number): void {
    this.events.push(`back ${queue}`);
  }

  put(queue: number, chains: number): void {
    this.events.push(`put ${queue} ${chains}`);
  }

  published(queue: number, isOwed: boolean): void {
    this.events.push(`published ${queue} ${isOwed ? 'owed' : 'silent'}`);
  }

  notifiedUsed(queue: number): void {
    this.events.push(`notified ${queue}`);
  }

  notifiedConfig(): void {
    this.events.push('notified config');
  }

  message(vector: number): void {
    this.events.push(`message ${vector}`);
  }

  line(isAsserted: boolean): void {
    this.events.push(`line ${isAsserted ? 'up' : 'down'}`);
  }

  /** The events so far; they are forgotten. */
  take(): string[] {
    return this.events.splice(0);
  }
}
