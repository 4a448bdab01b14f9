import UPlot from 'uplot';

/** What is shown: the last minute. */
const SECONDS = 60;
const HEIGHT = 180;

/** Replies per second over the last minute. */
export class RateChart {
  private readonly plot: UPlot;
  /** Seconds of some clock, and rates at them. */
  private readonly times: number[] = [];
  private readonly rates: number[] = [];

  constructor(place: HTMLElement) {
    const style = getComputedStyle(place);
    const axis = {
      stroke: style.getPropertyValue('--soft'),
      grid: { stroke: style.getPropertyValue('--line'), width: 1 },
      ticks: { show: false },
    };
    const color = style.getPropertyValue('--accent');
    this.plot = new UPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: { time: false, range: [-SECONDS, 0] },
          y: { range: (_plot, _least, most) => [0, Math.max(most * 1.15, 10)] },
        },
        axes: [
          { ...axis, size: 32, values: (_plot, values) => values.map((value) => (value === 0 ? 'now' : `${value} s`)) },
          { ...axis, size: 70, values: (_plot, values) => values.map((value) => value.toLocaleString('en')) },
        ],
        series: [{}, { stroke: color, fill: `${color}22`, width: 2, points: { show: false } }],
      },
      [[], []],
      place,
    );
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }

  /** @param time seconds of a clock that never goes back. @param rate per second */
  add(time: number, rate: number): void {
    this.times.push(time);
    this.rates.push(rate);
    if (time - this.times[0]! > SECONDS) {
      this.times.shift();
      this.rates.shift();
    }
    this.plot.setData([this.times.map((past) => past - time), this.rates]);
  }
}
