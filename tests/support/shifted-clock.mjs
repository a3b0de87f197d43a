/** Loaded with `node --import`: this process's clock goes `CLOCK_SHIFT_SECONDS` wrong; timers and `performance` do not. */

const shift = Number(process.env['CLOCK_SHIFT_SECONDS'] ?? 0) * 1000
const Original = Date
const now = Original.now.bind(Original)

class ShiftedDate extends Original {
  constructor(...parts) {
    super(...(parts.length === 0 ? [now() + shift] : parts))
  }

  static now() {
    return now() + shift
  }
}

globalThis.Date = ShiftedDate
