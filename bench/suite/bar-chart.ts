/** A chart of horizontal bars as SVG: a group for each label, a colour for each side, a line from the lowest round to the highest. */
import type { Bar, Chart } from './bench.ts'
import { digitsFor, formatNumber } from './numbers.ts'
import { median, spread } from './statistics.ts'

const WIDTH = 760
const LABELS = 230
/** For the number beside the longest bar. */
const NUMBERS = 90
const BAR = 16
const GAP = 4
const GROUP_GAP = 10
const TOP = 34
const LEGEND = 22
const COLOURS = ['#2f6f9f', '#d08a2e', '#5f9f5f', '#9f5f8f', '#7f7f7f']

const STYLE = `text { font: 12px system-ui, sans-serif; fill: #222 } .title { font-weight: 600; font-size: 14px }
.round { stroke: #222; stroke-width: 1 } .ground { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .round { stroke: #ddd } .ground { fill: #161b22 } }`

export function barChart({ title, unit, bars }: Chart): string {
  const labels = [...new Set(bars.map(({ label }) => label))]
  const sides = [...new Set(bars.map(({ side }) => side))]
  const most = Math.max(...bars.map(({ series }) => spread(series).high))
  const scale = (value: number) => (value / most) * (WIDTH - LABELS - NUMBERS)
  const parts: string[] = []
  let y = TOP
  if (sides.length > 1) {
    parts.push(legend(sides, y))
    y += LEGEND
  }
  for (const label of labels) {
    const group = bars.filter((bar) => bar.label === label)
    const height = group.length * (BAR + GAP) - GAP
    parts.push(text(LABELS - 10, y + height / 2 + 4, label, 'end'))
    for (const bar of group) {
      parts.push(drawBar(bar, y, scale, COLOURS[sides.indexOf(bar.side) % COLOURS.length] ?? ''))
      y += BAR + GAP
    }
    y += GROUP_GAP
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
<title>${escapeXml(title)}</title>
<style>${STYLE}</style>
<rect class="ground" width="${WIDTH}" height="${y}" rx="6"/>
<text class="title" x="12" y="22">${escapeXml(`${title}, ${unit}`)}</text>
${parts.join('\n')}
</svg>
`
}

function drawBar({ series }: Bar, y: number, scale: (value: number) => number, colour: string): string {
  const middle = median(series)
  const { low, high } = spread(series)
  const line = y + BAR / 2
  return [
    `<rect x="${LABELS}" y="${y}" width="${round(scale(middle))}" height="${BAR}" fill="${colour}"/>`,
    `<line class="round" x1="${round(LABELS + scale(low))}" x2="${round(LABELS + scale(high))}" y1="${line}" y2="${line}"/>`,
    text(LABELS + scale(Math.max(middle, high)) + 6, y + BAR - 4, formatNumber(middle, digitsFor(middle)), 'start'),
  ].join('\n')
}

function legend(sides: string[], y: number): string {
  let x = LABELS
  return sides
    .map((side, n) => {
      const entry = `<rect x="${x}" y="${y}" width="10" height="10" fill="${COLOURS[n % COLOURS.length]}"/>${text(x + 15, y + 9, side, 'start')}`
      x += 40 + side.length * 7
      return entry
    })
    .join('\n')
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeXml(content)}</text>`
}

const round = (value: number) => Math.round(value * 10) / 10

const escapeXml = (content: string) =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
