import { AMDVI_WALK } from './amdvi-walk.js';

/** What a unit counted since it was made. */
export interface AmdViCounters {
  /** Requests, per `AMDVI_WALK` code. */
  readonly walks: Float64Array;
  /** Entries written to the event log. */
  eventsLogged: number;
  /** Events lost: log off, full or out of reach. */
  eventsDropped: number;
  /** Page faults that SE, SA or IG of the device table entry keeps out of the log. */
  eventsSuppressed: number;
  /** Commands carried out. */
  commands: number;
  /** Times that the command buffer stopped at an illegal or unreachable command. */
  commandStops: number;
  /** COMPLETION_WAIT data whose address is no memory. */
  storesDropped: number;
}

export const newAmdViCounters = (): AmdViCounters => ({
  walks: new Float64Array(Object.keys(AMDVI_WALK).length),
  eventsLogged: 0,
  eventsDropped: 0,
  eventsSuppressed: 0,
  commands: 0,
  commandStops: 0,
  storesDropped: 0,
});
