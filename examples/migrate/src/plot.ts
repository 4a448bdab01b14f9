import { type EChartsOption, init } from 'echarts';
import type { MigrateResult } from './run-migrate.js';

const WIDTH = 1120;
const HEIGHT = 520;
const [STREAM_COLOUR, PING_COLOUR] = ['#2f6fb7', '#e0822d'];
const COPY_AREA = 'rgba(58, 155, 92, 0.14)';
const STILL_AREA = 'rgba(200, 40, 40, 0.45)';

/** The run over time as an SVG: what TCP carried, how long pings took, and where the guest was copied and stood still. */
export function plotSvg({ moves, pings, samples, startedAt }: MigrateResult): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  const ms = (at: number): number => (at - startedAt) / 1000;
  const rates = samples.slice(1).map(({ at, bytes }, index) => {
    const before = samples[index]!;
    return [ms(at), ((bytes - before.bytes) * 8) / (at - before.at)];
  });
  const areas = moves.flatMap(({ from, to, events, pausedAt, resumedAt }) => [
    [
      { name: `${from} → ${to}`, xAxis: ms(events[0]!.at), itemStyle: { color: COPY_AREA } },
      { xAxis: ms(pausedAt) },
    ] as const,
    [
      {
        name: `${((resumedAt - pausedAt) / 1000).toFixed(1)} ms`,
        xAxis: ms(pausedAt),
        itemStyle: { color: STILL_AREA },
      },
      { xAxis: ms(resumedAt) },
    ] as const,
  ]);
  const axis = { type: 'value' as const, min: 0, nameTextStyle: { align: 'left' as const } };
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: 'ringwire: a guest moves between two vendors’ cards, and back',
      subtext: 'green: its memory is copied while it runs; red: it stands still',
      left: 16,
      top: 8,
    },
    legend: { bottom: 8 },
    grid: [
      { left: 72, right: 32, top: 92, height: 190 },
      { left: 72, right: 32, top: 330, height: 110 },
    ],
    xAxis: [
      { ...axis, gridIndex: 0, axisLabel: { show: false } },
      { ...axis, gridIndex: 1, name: 'ms', nameLocation: 'middle', nameGap: 26 },
    ],
    yAxis: [
      { ...axis, gridIndex: 0, name: 'Mbit/s, both directions' },
      { ...axis, gridIndex: 1, name: 'ping, ms' },
    ],
    series: [
      {
        name: 'TCP',
        type: 'line',
        showSymbol: false,
        itemStyle: { color: STREAM_COLOUR! },
        lineStyle: { width: 1.5 },
        data: rates,
        markArea: { silent: true, label: { fontSize: 11 }, data: areas.map(([begin, end]) => [begin, end]) },
      },
      {
        name: 'ping',
        type: 'scatter',
        xAxisIndex: 1,
        yAxisIndex: 1,
        symbolSize: 4,
        itemStyle: { color: PING_COLOUR! },
        data: pings.flatMap(({ sentAt, answeredAt }) =>
          answeredAt === undefined ? [] : [[ms(sentAt), (answeredAt - sentAt) / 1000]],
        ),
      },
    ],
  };
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
