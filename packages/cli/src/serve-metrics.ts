import { CARD_METRICS } from './card-metrics.js';
import { type Metric, metricText } from './metric.js';
import { PORT_METRICS } from './port-metrics.js';
import type { ServedPorts } from './serve-ports.js';

/** Prometheus's text format, version 0.0.4. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All that there may be. */
export const METRICS: readonly Metric[] = [...PORT_METRICS, ...CARD_METRICS];

/** What there is to be measured now. */
export function metricsText(served: ServedPorts): string {
  return [...METRICS.flatMap((metric) => metricText(metric, metric.samples(served))), ''].join('\n');
}
