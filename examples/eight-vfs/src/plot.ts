import type { LineRate } from 'bench/claims';
import { type EChartsOption, init } from 'echarts';
import type { RunResult } from './run-card.js';
import type { FunctionPlan } from './topology.js';

const WIDTH = 1120;
const HEIGHT = 480;
const COLOURS = ['#2f6fb7', '#e0822d', '#3a9b5c', '#7fb0e0', '#f2b47a', '#8ccf9f', '#1b4676', '#9a5415'];

/** What is said of such cards: 95 % and more. */
const CLAIMED = {
  silent: true,
  symbol: 'none',
  lineStyle: { color: '#888888', type: 'dashed' as const },
  label: { formatter: 'claimed: 95', position: 'insideEndBottom' as const },
  data: [{ yAxis: 95 }],
};

/** Line rates of one kind of function, measured in virtual time. */
export interface KindRates {
  readonly kind: string;
  readonly rates: readonly LineRate[];
}

/** What every function sent over time, and what one function alone sends by the size of messages, as one SVG. */
export function plotSvg(plans: readonly FunctionPlan[], { rates }: RunResult, kinds: readonly KindRates[]): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  const nameOf = ({ kind, maxTxRate, script }: FunctionPlan, vf: number): string =>
    `VF ${vf} ${kind}${maxTxRate > 0 ? `, limit ${maxTxRate}` : ''}${script === 'plain' ? '' : `, ${script}`}`;
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    title: [
      { text: 'ringwire: eight virtual functions of three kinds on one card', left: 16, top: 8 },
      {
        text: 'sent, guests and card in threads',
        left: 330,
        top: 48,
        textAlign: 'center',
        textStyle: { fontSize: 13 },
      },
      {
        text: 'one function alone, in virtual time',
        left: 900,
        top: 48,
        textAlign: 'center',
        textStyle: { fontSize: 13 },
      },
    ],
    legend: [
      { data: plans.map(nameOf), bottom: 8, left: 40, width: 590, itemGap: 12, textStyle: { fontSize: 11 } },
      {
        data: kinds.flatMap(({ kind }) => [`${kind} VF`, `${kind} PF`]),
        bottom: 8,
        left: 720,
        width: 380,
        itemGap: 12,
        textStyle: { fontSize: 11 },
      },
    ],
    grid: [
      { left: 64, width: 560, top: 92, bottom: 130 },
      { left: 730, width: 360, top: 92, bottom: 130 },
    ],
    xAxis: [
      { type: 'value', gridIndex: 0, name: 's', nameLocation: 'middle', nameGap: 26, min: 0 },
      {
        type: 'category',
        gridIndex: 1,
        data: (kinds[0]?.rates ?? []).map(({ size }) => size),
        name: 'message',
        nameLocation: 'middle',
        nameGap: 26,
        axisLabel: { fontSize: 10, interval: 0, rotate: 30 },
      },
    ],
    yAxis: [
      { type: 'log', gridIndex: 0, name: 'Mbit/s on the wire', min: 1, nameTextStyle: { align: 'left' } },
      { type: 'value', gridIndex: 1, name: '% of 10 Gbit/s', min: 90, max: 102, nameTextStyle: { align: 'left' } },
    ],
    series: [
      ...plans.map((plan, vf) => ({
        name: nameOf(plan, vf),
        type: 'line' as const,
        xAxisIndex: 0,
        yAxisIndex: 0,
        showSymbol: false,
        lineStyle: { width: plan.maxTxRate > 0 ? 3 : 1.5, color: COLOURS[vf]! },
        data: rates.map(({ at, mbits }) => [at / 1000, mbits[vf]! > 0 ? mbits[vf]! : null]),
      })),
      ...kinds.flatMap(({ kind, rates: found }, at) =>
        (['physical', 'virtual'] as const).map((which) => ({
          name: `${kind} ${which === 'virtual' ? 'VF' : 'PF'}`,
          type: 'line' as const,
          xAxisIndex: 1,
          yAxisIndex: 1,
          symbol: which === 'virtual' ? 'circle' : 'diamond',
          symbolSize: which === 'virtual' ? 6 : 13,
          itemStyle: { color: COLOURS[at + (which === 'virtual' ? 0 : kinds.length)]! },
          lineStyle: {
            color: COLOURS[at + (which === 'virtual' ? 0 : kinds.length)]!,
            type: which === 'virtual' ? ('solid' as const) : ('dotted' as const),
          },
          data: found.map((rate) => 100 * rate[which]),
          ...(at === 0 && which === 'virtual' ? { markLine: CLAIMED } : {}),
        })),
      ),
    ],
  };
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
