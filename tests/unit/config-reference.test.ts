/** The generated reference and template: complete, sound as they stand, and showing the real defaults. */
import { expect, test } from 'vitest'
import { reference, template } from '../../src/config/describe.ts'
import { judge } from '../../src/config/judge.ts'
import { LISTED, SECTIONS } from '../../src/config/schema.ts'
import { parseToml } from '../../src/config/toml.ts'

const judged = (text: string) => judge([{ source: 'template', tables: parseToml(text) }], { directory: '/srv' })

test('the template is accepted as it stands', () => {
  expect(judged(template())).toMatchObject({ problems: [], warnings: [] })
})

test('each value in its comments is accepted too', () => {
  const commented = [...template().matchAll(/^# (\w+ = .*)$/gm)].map(([, assignment]) => String(assignment))
  expect(commented.length).toBeGreaterThan(20)
  // The other way of naming the issuer, the directory that S3 replaces, and files that are not there.
  const others = /^# (?:issuer|ssl_ca|tls_\w+|directory) = .*\n/gm
  const objects = template().match(/^\[objects\]\n(?:.+\n)+/m)?.[0] ?? ''
  expect(objects).toContain('# bucket_name')
  const text = template().replace(objects, '[objects]\n').replace(others, '')
  expect(judged(text.replace(/^# (?=\w+ = |\[)/gm, ''))).toMatchObject({ problems: [], warnings: [] })
})

test('defaults are values that the key itself accepts', () => {
  for (const [name, section] of [...SECTIONS, ...LISTED]) {
    for (const [key, { type, default: value }] of Object.entries(section.keys)) {
      if (value !== undefined) expect([name, key, type.parse(value)]).toEqual([name, key, { value }])
    }
  }
})

test('the reference has every key', () => {
  const text = reference()
  for (const [, section] of [...SECTIONS, ...LISTED])
    for (const key of Object.keys(section.keys)) expect(text).toContain(`| \`${key}\``)
})
