/** Who reads which partition: each member of the group says which it wants, and all that is wanted is shared out evenly. */
import kafkajs from 'kafkajs'

const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol

const VERSION = 1

/**
 * Not by pausing what is not wanted: a partition would then belong to a member that does not read it, while another one
 * that would is given none.
 *
 * @param wanted partitions of the topic; none means all
 */
export function partitionAssigner(wanted: number[]): kafkajs.PartitionAssigner {
  return ({ cluster }) => ({
    name: 'ism',
    version: VERSION,
    protocol({ topics }) {
      const userData = Buffer.from(JSON.stringify(wanted))
      return { name: 'ism', metadata: MemberMetadata.encode({ version: VERSION, topics, userData }) }
    },
    async assign({ members, topics }) {
      const readers = members.map(({ memberId, memberMetadata }) => ({ memberId, wanted: wantedOf(memberMetadata) }))
      const shares = topics.map((topic): [string, Map<string, number[]>] => {
        const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
        return [topic, share(partitions, readers)]
      })
      return readers.map(({ memberId }) => {
        const assignment = Object.fromEntries(shares.map(([topic, parts]) => [topic, parts.get(memberId) ?? []]))
        const encoded = MemberAssignment.encode({ version: VERSION, assignment, userData: Buffer.alloc(0) })
        return { memberId, memberAssignment: encoded }
      })
    },
  })
}

export type Reader = { memberId: string; wanted: number[] }

/** Each partition to the reader that wants it and has the fewest so far; one that nobody wants to nobody. */
export function share(partitions: number[], readers: Reader[]): Map<string, number[]> {
  const inOrder = [...readers].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const shares = new Map(inOrder.map(({ memberId }) => [memberId, [] as number[]]))
  const countOf = ({ memberId }: Reader) => shares.get(memberId)?.length ?? 0
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const [first, ...others] = inOrder.filter(({ wanted }) => wanted.length === 0 || wanted.includes(partition))
    if (!first) continue
    const reader = others.reduce((best, each) => (countOf(each) < countOf(best) ? each : best), first)
    shares.get(reader.memberId)?.push(partition)
  }
  return shares
}

function wantedOf(metadata: Buffer): number[] {
  const text = MemberMetadata.decode(metadata)?.userData.toString('utf8')
  return text ? JSON.parse(text) : []
}
