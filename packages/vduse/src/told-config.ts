import type { VduseNode } from './node.js';

/** A device's configuration, of which the kernel has a copy that drivers read. */
export class ToldConfig {
  private readonly node: VduseNode;
  private readonly config: Uint8Array;
  /** As the kernel has it. */
  private readonly told: Uint8Array;

  /** @param config the device's own, live, as the kernel was told of it */
  constructor(node: VduseNode, config: Uint8Array) {
    this.node = node;
    this.config = config;
    this.told = config.slice();
  }

  /** Have the kernel know what changed. @returns why it does not */
  tell(): string | undefined {
    if (this.config.every((byte, at) => byte === this.told[at])) return undefined;
    const problem = this.node.setConfig(this.config);
    if (problem === undefined) this.told.set(this.config);
    return problem;
  }
}
