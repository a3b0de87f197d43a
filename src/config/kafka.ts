/** Judges `use_kafka` and `[kafka_config]`: where notifications of the backend are read from, and pushes are written to. */
import type { KafkaConfig, KafkaSasl } from './config.ts'
import type { Judgement } from './judgement.ts'
import { warnOfUnused } from './pem.ts'
import { TOP } from './schema.ts'
import { judgeTls } from './tls.ts'
import { requireBoth } from './together.ts'

const SECTION = 'kafka_config'

export function judgeKafka(judgement: Judgement, directory: string): KafkaConfig | undefined {
  const { given, problems, sections } = judgement
  const isUsed = judgement.values[TOP].use_kafka
  if (!sections.has(SECTION)) {
    const source = given.get('use_kafka')?.source ?? ''
    if (isUsed)
      problems.push({
        key: 'use_kafka',
        source,
        problem: `is true, but there is no [${SECTION}]`,
        expected: 'both, or false',
      })
    return undefined
  }
  const values = judgement.values[SECTION]
  // What is missing or wrong has a problem already, and is undefined here.
  const { bootstrap_host: host, bootstrap_port: port, brokers = [] } = values
  const config = {
    brokers: [...new Set([`${host?.includes(':') ? `[${host}]` : host}:${port}`, ...brokers])],
    clientId: values.client_id,
    tls: judgeTls(judgement, SECTION, directory),
    sasl: judgeSasl(judgement),
    topic: values.topic,
    partitions: values.partition,
    consumerGroup: values.consumer_group,
    pushTopic: values.push_topic,
  }
  // Who says false has decided; who says nothing may have forgotten.
  if (!given.has('use_kafka')) warnOfUnused(judgement, 'kafka_config.push_topic', 'use_kafka = true beside it')
  judgePushTopic(judgement)
  return isUsed ? config : undefined
}

/** What ISM writes there it must not read as notifications. */
function judgePushTopic({ given, problems, values }: Judgement): void {
  const { topic, push_topic: pushTopic } = values[SECTION]
  if (pushTopic === undefined || topic === undefined || ![topic, `${topic}.dead`].includes(pushTopic)) return
  problems.push({
    key: 'kafka_config.push_topic',
    source: given.get('kafka_config.push_topic')?.source ?? '',
    problem: pushTopic === topic ? 'is also topic' : 'is where records that cannot be used are put',
    expected: 'another topic',
  })
}

function judgeSasl(judgement: Judgement): KafkaSasl | undefined {
  const { sasl_mechanism: mechanism, sasl_user: user, sasl_password: password } = judgement.values[SECTION]
  requireBoth(judgement, SECTION, 'sasl_mechanism', 'sasl_user')
  requireBoth(judgement, SECTION, 'sasl_user', 'sasl_password')
  return mechanism && user && password ? { mechanism, user, password } : undefined
}
