import { liveText } from './live-report.js';
import type { Page, Pages } from './serve-http.js';
import { METRICS_TYPE, metricsText } from './serve-metrics.js';
import type { ServedPorts } from './serve-ports.js';

/** What `ringwire serve --metrics` answers: `/metrics`, and `/explain` as text or, where it is asked for, as JSON. */
export function pagesOf(served: ServedPorts): Pages {
  return new Map<string, (accept: string) => Page>([
    ['/metrics', () => ({ type: METRICS_TYPE, text: metricsText(served) })],
    [
      '/explain',
      (accept) =>
        accept.includes('application/json')
          ? { type: 'application/json', text: `${JSON.stringify(served.explain())}\n` }
          : { type: 'text/plain; charset=utf-8', text: liveText(served.explain(), false) },
    ],
  ]);
}
