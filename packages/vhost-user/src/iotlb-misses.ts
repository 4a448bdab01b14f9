import { ACCESS } from '@ringwire/guest-memory';
import { IOTLB_TYPE } from './messages.js';

/** Requests that wait for the front-end at most: what is beyond waits too, and is asked for when it is met again. */
const MISSES_MAX = 64;
/** Translations are asked for page by page; the answer may be for more. */
const PAGE = 4096;

/** One thing that the front-end is told. */
export interface Miss {
  /** An address without translation, or one whose translation doesn't allow the access. */
  readonly kind: (typeof IOTLB_TYPE)['MISS' | 'ACCESS_FAIL'];
  readonly iova: number;
  /** Bits of `ACCESS`. */
  readonly access: number;
  isSent: boolean;
  /** The front-end said that there will be no translation, … */
  isRefused: boolean;
  /** … and a transfer came across that. */
  isGivenUp: boolean;
}

/** What the front-end is asked about translations: each thing once, a bounded number of things at a time. */
export class IotlbMisses {
  private misses: Miss[] = [];
  /** How many accesses had to wait for the front-end so far. */
  count = 0;

  /** An address without a translation was met. It is to be waited for, unless the front-end said that there is none. */
  note(address: number, access: number): void {
    const iova = address - (address % PAGE);
    const miss = this.find(IOTLB_TYPE.MISS, iova, access);
    if (miss?.isRefused) {
      miss.isGivenUp = true;
      return;
    }
    this.count++;
    if (miss === undefined) this.add(IOTLB_TYPE.MISS, iova, access);
  }

  /** An address was met whose translation doesn't allow the access. */
  noteFailure(address: number, access: number): void {
    const iova = address - (address % PAGE);
    if (this.find(IOTLB_TYPE.ACCESS_FAIL, iova, access) === undefined) this.add(IOTLB_TYPE.ACCESS_FAIL, iova, access);
  }

  /** What is to be told next, or undefined. */
  next(): Miss | undefined {
    return this.misses.find(({ isSent }) => !isSent);
  }

  /** A miss was told. A failure needs no answer: it may happen again. */
  told(miss: Miss): void {
    miss.isSent = true;
    if (miss.kind === IOTLB_TYPE.ACCESS_FAIL) this.drop((one) => one === miss);
  }

  /** The front-end's answer was an error. */
  refuse(miss: Miss): void {
    miss.isRefused = true;
  }

  /** Transfers to addresses that were refused are over: the next one asks again. */
  forgetGivenUp(): void {
    if (this.misses.length > 0) this.drop(({ isGivenUp }) => isGivenUp);
  }

  /** A translation came or went. @returns bits of `ACCESS` that were asked for there */
  settle(iova: number, end: number): number {
    let asked = 0;
    const isThere = (miss: Miss): boolean => miss.iova < end && miss.iova + PAGE > iova;
    for (const miss of this.misses) if (miss.kind === IOTLB_TYPE.MISS && isThere(miss)) asked |= miss.access;
    this.drop(isThere);
    return asked;
  }

  clear(): void {
    this.misses = [];
  }

  private add(kind: Miss['kind'], iova: number, access: number): void {
    if (this.misses.length === MISSES_MAX) return;
    this.misses.push({
      kind,
      iova,
      access: access === 0 ? ACCESS.READ : access,
      isSent: false,
      isRefused: false,
      isGivenUp: false,
    });
  }

  private find(kind: Miss['kind'], iova: number, access: number): Miss | undefined {
    return this.misses.find((miss) => miss.kind === kind && miss.iova === iova && (access & ~miss.access) === 0);
  }

  private drop(isGone: (miss: Miss) => boolean): void {
    this.misses = this.misses.filter((miss) => !isGone(miss));
  }
}
