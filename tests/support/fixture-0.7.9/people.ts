/** The people of the fixture. */
import type { Random } from '../random.ts'
import { at, DAY, type Micros } from './time.ts'

export type LegacyPerson = {
  /** How tests call them; the display name may be another. */
  label: string
  id: string
  displayName: string
  /** What 0.7.9 searched by; null in rows that were made before there was such a column. */
  rawName: string | null
  createdAt: Micros
  deletedAt: Micros | null
  description: string | null
  friendsCount: number
  profilePicture: string | null
  streetCredits: number
  role: string
}

const NAMES = [
  ...['Alice', 'Bob', 'Carol', 'Dave', 'Eve', 'Frank', 'Grace', 'Heidi', 'Ivan', 'Judy', 'Mallory', 'Niaj'],
  ...['Olivia', 'Peggy', 'Rupert', 'Sybil', 'Trent', 'Walter'],
] as const

/** With display names that are not their labels. */
const OTHERS: Partial<LegacyPerson>[] = [
  { label: 'Accented', displayName: 'Zoë Ångström-Çelik' },
  { label: 'Chinese', displayName: '李小龙' },
  { label: 'Emoji', displayName: '🐫 𝒜𝓁𝒾 100%_\\' },
  { label: 'Long', displayName: `Maximilian ${'x'.repeat(139)}` },
  { label: 'Longest', displayName: 'ÿ'.repeat(255) },
  { label: 'Deleted', displayName: 'Victor', deletedAt: at('2025-07-01T00:00:00Z') + 123_456 },
  // A name is unique among those who are not deleted.
  { label: 'Deleted namesake', displayName: 'Alice', deletedAt: at('2025-01-01T00:00:00Z') },
  { label: 'Roomless', displayName: 'Xavier' },
]

export function createPeople(random: Random): LegacyPerson[] {
  const named: Partial<LegacyPerson>[] = NAMES.map((name) => ({ label: name, displayName: name }))
  return [...named, ...OTHERS].map((known, n) => {
    const displayName = known.displayName ?? ''
    const label = known.label ?? displayName
    return {
      label,
      id: randomId(random),
      displayName,
      rawName: label === 'Heidi' ? null : displayName.toLowerCase(),
      createdAt: at('2024-01-01T00:00:00Z') + n * DAY + random.below(DAY),
      deletedAt: known.deletedAt ?? null,
      description: random.next() < 0.5 ? null : `${displayName.slice(0, 20)} – ${'é'.repeat(random.below(220))}`,
      // What the relationships say is added there; Walter's is out of step with his.
      friendsCount: label === 'Walter' ? 7 : 0,
      profilePicture: random.next() < 0.5 ? null : `https://pictures.example.com/${n}.jpg`,
      streetCredits: random.below(5_000),
      role: label === 'Trent' ? 'ADMIN' : 'USER',
    }
  })
}

/** A UUID of version 4. */
export function randomId(random: Random): string {
  const hex = Array.from({ length: 32 }, (_, n) => {
    if (n === 12) return '4'
    return (n === 16 ? 8 + random.below(4) : random.below(16)).toString(16)
  }).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
