import { explanationText } from '@ringwire/eswitch';
import { VirtioError } from '@ringwire/virtio-spec';
import { readStrictJson } from '@ringwire/virtio-spec/json';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { checkedInput } from './input-file.js';
import type { AuditLog } from './nic-audit.js';
import type { NicCard } from './nic-card.js';
import { VfFile, vfSettings } from './nic-file.js';
import { frameOf, portNumber } from './nic-names.js';
import { changeRates, RateRequest, ratesShown } from './nic-rates.js';
import { MirrorFile, mirrorOf, mirrorShown, RuleFile, ruleOf, ruleShown } from './nic-rules.js';
import { nicShown } from './nic-show.js';
import { WireWords, wireSettings } from './nic-wire.js';
import { wireShown } from './nic-wire-show.js';
import { UnusableInput } from './terminal.js';

/** An answer to whoever asks or tells a card. */
export interface Answer {
  /** Of HTTP. */
  readonly status: number;
  readonly body: unknown;
}

const PLACES =
  'GET /nic, /wire, /rates, /rules, /mirrors, /why?port=vf0&frame=HEX; POST /vf/NUMBER, and the first five but /nic';
const SOCKET = 'management socket';

/** What may be asked of a card and told to it. Nothing that comes throws. */
export class NicRequests {
  private readonly card: NicCard;
  private readonly audit: AuditLog | undefined;

  /** @param audit where changes are written down, with who made them */
  constructor(card: NicCard, audit: AuditLog | undefined) {
    this.card = card;
    this.audit = audit;
  }

  answer(method: string, url: string, text: string): Answer {
    try {
      const { pathname, searchParams } = new URL(url, 'http://card');
      const body = method === 'GET' ? this.shown(pathname, searchParams) : undefined;
      if (body !== undefined) return { status: 200, body };
      return method === 'POST' ? this.post(pathname, text) : missing(PLACES);
    } catch (error) {
      return refusal(error);
    }
  }

  private shown(path: string, asked: URLSearchParams): unknown {
    const { card } = this;
    const { eswitch } = card;
    switch (path) {
      case '/nic':
        return nicShown(card);
      case '/why':
        return this.why(asked);
      case '/wire':
        return wireShown(card);
      case '/rates':
        return ratesShown(card, asked.get('name') ?? undefined);
      case '/rules':
        return eswitch.flowRules.map((rule, at) => ({ ...ruleShown(rule), ...eswitch.rules[at]! }));
      case '/mirrors':
        return eswitch.mirrors.map(mirrorShown);
      default:
        return undefined;
    }
  }

  private why(asked: URLSearchParams): unknown {
    const { card } = this;
    const port = portNumber(asked.get('port') ?? '', card.vfs.length);
    const explanation = card.why(port, frameOf(asked.get('frame') ?? ''));
    return { ...explanation, text: explanationText(explanation) };
  }

  private post(path: string, text: string): Answer {
    const { vfs } = this.card;
    const vf = /^\/vf\/(\d{1,4})$/.exec(path)?.[1];
    if (vf !== undefined && Number(vf) >= vfs.length) return missing(`vf is ${vf}, want 0 to ${vfs.length - 1}`);
    const what = vf === undefined ? path.slice(1) : `vf${vf}`;
    const outcome = readStrictJson(text);
    if ('problem' in outcome) return { status: 400, body: { problem: outcome.problem } };
    const set = (): boolean =>
      vf === undefined ? this.set(path, outcome.value) : this.setVf(Number(vf), outcome.value);
    try {
      if (this.audit === undefined ? set() : this.audit.by(SOCKET, set)) return { status: 200, body: {} };
      return missing(PLACES);
    } catch (error) {
      const answer = refusal(error);
      this.audit?.by(SOCKET, () => this.audit?.note(what, null, outcome.value, answer.body.problem));
      return answer;
    }
  }

  private setVf(vf: number, words: unknown): true {
    this.card.setVf(vf, vfSettings(checkedInput('vf', words, VfFile)));
    return true;
  }

  /** @returns whether there is such a thing */
  private set(path: string, words: unknown): boolean {
    const { card } = this;
    const { eswitch, vfs } = card;
    switch (path) {
      case '/wire':
        card.setWire(wireSettings(checkedInput('wire', words, WireWords)));
        return true;
      case '/rates':
        changeRates(card, checkedInput('rate', words, RateRequest), this.audit);
        return true;
      case '/rules':
        eswitch.setRules(checkedInput('rules', words, z.array(RuleFile)).map((rule) => ruleOf(rule, vfs.length)));
        return true;
      case '/mirrors':
        eswitch.setMirrors(checkedInput('mirrors', words, z.array(MirrorFile)).map((one) => mirrorOf(one, vfs.length)));
        return true;
      default:
        return false;
    }
  }
}

const missing = (problem: string): Answer => ({ status: 404, body: { problem } });

function refusal(error: unknown): Answer & { readonly body: { readonly problem: string } } {
  const isTheirs =
    error instanceof VirtioError || error instanceof UnusableInput || error instanceof InvalidArgumentError;
  const problem = error instanceof Error ? error.message : String(error);
  return { status: isTheirs ? 400 : 500, body: { problem } };
}
