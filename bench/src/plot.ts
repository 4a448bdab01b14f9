import { type EChartsOption, init } from 'echarts';
import type { BenchJson } from './report-json.js';
import { digits } from './statistics.js';

const SIZES = ['64', '256', '1500', 'imix', 'pcap'];
const BATCHES = ['1', '8', '32', '256'];
const COLOURS = { split: '#2f6fb7', packed: '#e0822d', dpdkSplit: '#a9c6e6', dpdkPacked: '#f4cfa6' } as const;
const WIDTH = 1120;
const HEIGHT = 460;

/** The plot as one SVG: rate by frame size beside DPDK, and rate by burst. */
export function plotSvg(json: BenchJson): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption(plotOption(json));
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

/** The same plot and every figure as a page that needs nothing else. */
export function plotHtml(json: BenchJson, svg: string): string {
  const { machine, cases, ratios } = json;
  const rows = cases.map((each) => {
    const cells = [digits(each.mpps), digits(each.nsPerFrame), `${each.spread.toFixed(0)} %`, digits(each.gbps)];
    const trip = [each.p50, each.p99, each.p999].map((ns) => (ns === undefined ? '' : digits(ns)));
    const values = [...cells, digits(each.cacheLinesPerFrame), ...trip];
    const text = escapeHtml(each.problem ?? each.copies);
    return `<tr><th>${escapeHtml(each.name)}</th>${values.map((value) => `<td>${value}</td>`).join('')}<td>${text}</td></tr>`;
  });
  const titles = ['case', 'Mpps', 'ns/frame', 'spread', 'Gbit/s', 'lines', 'p50 ns', 'p99 ns', 'p99.9 ns', 'copies'];
  const beside = ratios.map((each) => {
    const other = 'dpdkMpps' in each ? each.dpdkMpps : each.plainMpps;
    const { name, oursMpps, ratio } = each;
    return `<li>${escapeHtml(name)}: ${digits(oursMpps)} of ${digits(other)} Mpps, ratio ${ratio.toFixed(2)}</li>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>ringwire bench</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 10px; text-align: right; }
tbody th, td:last-child { text-align: left; font-weight: normal; }
td:last-child { color: #666; font-size: 12px; }
tbody tr:nth-child(odd) { background: #f4f6f8; }
</style>
<h1>ringwire bench</h1>
<p>${escapeHtml(`${machine.cpu}, ${machine.cores} cores, ${machine.os}, Node ${machine.node}`)}</p>
${svg}<ul>${beside.join('')}</ul>
<table><thead><tr>${titles.map((title) => `<th>${title}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table>
</html>
`;
}

function plotOption(json: BenchJson): EChartsOption {
  const { machine } = json;
  const mpps = (name: string): number | null => {
    const found = json.cases.find((each) => each.name === name && each.problem === null);
    return found === undefined ? null : found.mpps;
  };
  const peers = json.ratios.filter((each) => 'dpdkMpps' in each);
  const dpdk = (layout: string): (number | null)[] =>
    SIZES.map((size) => peers.find(({ name }) => name === `dpdk/${layout}/${size}`)?.dpdkMpps ?? null);
  const bySize = (layout: string): (number | null)[] => SIZES.map((size) => mpps(`ring/${layout}/xthread/${size}/b32`));
  const byBatch = (layout: string): (number | null)[] =>
    BATCHES.map((batch) => mpps(`ring/${layout}/xthread/64/b${batch}`));
  const label = {
    show: true,
    position: 'top' as const,
    fontSize: 10,
    formatter: ({ value }: { value: unknown }) => (typeof value === 'number' ? digits(value) : ''),
  };
  const bars = (name: string, data: (number | null)[], color: string, at: 0 | 1): object => ({
    name,
    type: 'bar',
    data,
    itemStyle: { color },
    label,
    xAxisIndex: at,
    yAxisIndex: at,
    barGap: '8%',
  });
  const hasPeer = peers.length > 0;
  const yAxis = { type: 'value' as const, name: 'Mpps', nameTextStyle: { align: 'right' as const }, min: 0 };
  return {
    animation: false,
    backgroundColor: '#ffffff',
    title: [
      {
        text: 'ringwire: driver thread to device thread, every frame checked',
        subtext: `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}${hasPeer ? '; DPDK testpmd measured in the same run' : ''}`,
        left: 16,
        top: 8,
      },
      { text: 'by frame size, bursts of 32', left: 336, top: 74, textAlign: 'center', textStyle: { fontSize: 13 } },
      { text: 'by burst, 64 B frames', left: 895, top: 74, textAlign: 'center', textStyle: { fontSize: 13 } },
    ],
    legend: { bottom: 6, itemGap: 24 },
    grid: [
      { left: 56, width: 560, top: 112, bottom: 78 },
      { left: 700, width: 390, top: 112, bottom: 78 },
    ],
    xAxis: [
      {
        type: 'category',
        gridIndex: 0,
        data: SIZES.map((size) => (/\d/.test(size) ? `${size} B` : size)),
        axisTick: { show: false },
      },
      {
        type: 'category',
        gridIndex: 1,
        data: BATCHES,
        name: 'frames per burst',
        nameLocation: 'middle',
        nameGap: 26,
        axisTick: { show: false },
      },
    ],
    yAxis: [
      { ...yAxis, gridIndex: 0 },
      { ...yAxis, gridIndex: 1 },
    ],
    series: [
      bars('split', bySize('split'), COLOURS.split, 0),
      ...(hasPeer ? [bars('DPDK split', dpdk('split'), COLOURS.dpdkSplit, 0)] : []),
      bars('packed', bySize('packed'), COLOURS.packed, 0),
      ...(hasPeer ? [bars('DPDK packed', dpdk('packed'), COLOURS.dpdkPacked, 0)] : []),
      bars('split', byBatch('split'), COLOURS.split, 1),
      bars('packed', byBatch('packed'), COLOURS.packed, 1),
    ],
  } as EChartsOption;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
