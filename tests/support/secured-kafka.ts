/** A second broker beside the one of the environment, of the same program: with TLS, log-in and access lists. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../../src/config/config.ts'
import { createKafka } from '../../src/infra/kafka.ts'
import { eventually } from './eventually.ts'
import { reservedPort } from './node.ts'
import type { ServerProcess } from './server-process.ts'
import { TestProcess } from './test-process.ts'
import { kafkaConfig } from './topic.ts'

const run = promisify(execFile)

export const USER = 'ism'
export const PASSWORD = 'the-right-one'

/** What somebody may do with a topic, beside knowing of it. */
type Right = 'READ' | 'WRITE' | 'CREATE'

export class SecuredKafka {
  /** PEM file of the certificate, which signs itself. */
  readonly ca: string
  readonly #address: string
  readonly #openAddress: string
  readonly #caText: string
  readonly #stop: () => Promise<void>

  private constructor(
    addresses: { secured: string; open: string },
    ca: { file: string; text: string },
    stop: () => Promise<void>,
  ) {
    this.ca = ca.file
    this.#caText = ca.text
    this.#address = addresses.secured
    this.#openAddress = addresses.open
    this.#stop = stop
  }

  static async start(like: ServerProcess): Promise<SecuredKafka> {
    const directory = await mkdtemp(join(tmpdir(), 'ism-kafka-'))
    const file = (name: string) => join(directory, name)
    const [port, openPort, controllerPort] = [await reservedPort(), await reservedPort(), await reservedPort()]
    const subject = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=kafka', '-days', '2']
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', file('key.pem'), '-out', file('ca.pem')]
    await run('openssl', [...subject, ...names])
    const ca = await readFile(file('ca.pem'), 'utf8')
    await writeFile(file('keystore.pem'), `${await readFile(file('key.pem'), 'utf8')}${ca}`)
    await writeFile(file('server.properties'), properties({ directory, port, openPort, controllerPort }))

    const command = await like.commandLine()
    const java = command.slice(0, command.indexOf('kafka.Kafka'))
    const [program = '', ...parameters] = java
    const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((name) => [
      '--add-scram',
      `${name}=[name=${USER},password=${PASSWORD}]`,
    ])
    const format = ['kafka.tools.StorageTool', 'format', '--config', file('server.properties'), ...scram]
    await run(program, [...parameters, ...format, '--cluster-id', 'aXNtLXRlc3Qta2Fma2EtMg'])
    const broker = new TestProcess(program, [...parameters, 'kafka.Kafka', file('server.properties')])
    const addresses = { secured: `127.0.0.1:${port}`, open: `127.0.0.1:${openPort}` }
    const kafka = new SecuredKafka(addresses, { file: file('ca.pem'), text: ca }, async () => {
      await broker.kill('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    })
    await eventually('the broker answers', () => kafka.#answers(), 60_000)
    return kafka
  }

  /** As whoever may do everything, and need not log in. */
  openConfig(overrides: Partial<KafkaConfig> = {}): KafkaConfig {
    return kafkaConfig(this.#openAddress, overrides)
  }

  /** As ISM, for the topic and the group of `config`. */
  securedConfig(config: KafkaConfig, mechanism: NonNullable<KafkaConfig['sasl']>['mechanism'] = 'plain'): KafkaConfig {
    return {
      ...config,
      brokers: [this.#address],
      tls: { mode: 'verify', ca: this.#caText, cert: undefined, key: undefined },
      sasl: { mechanism, user: USER, password: PASSWORD },
    }
  }

  /** Lets ISM read as the group of `config`, and have these rights to these topics. */
  async allow({ consumerGroup }: KafkaConfig, topics: Record<string, Right[]>): Promise<void> {
    const { AclResourceTypes: Type, AclOperationTypes: Operation } = kafkajs
    const rule = (
      resourceType: kafkajs.AclResourceTypes,
      resourceName: string,
      operation: Right,
    ): kafkajs.AclEntry => ({
      resourceType,
      resourceName,
      resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
      principal: `User:${USER}`,
      host: '*',
      operation: Operation[operation],
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    })
    const acl = Object.entries(topics).flatMap(([name, rights]) => rights.map((right) => rule(Type.TOPIC, name, right)))
    await this.#administer((admin) => admin.createAcls({ acl: [...acl, rule(Type.GROUP, consumerGroup, 'READ')] }))
  }

  async createTopic(topic: string): Promise<void> {
    await this.#administer((admin) => admin.createTopics({ topics: [{ topic }], waitForLeaders: true }))
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#administer((admin) => admin.deleteTopics({ topics: [topic] }))
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  async #answers(): Promise<boolean> {
    return this.#administer(async (admin) => (await admin.describeCluster()).brokers.length > 0).catch(() => false)
  }

  async #administer<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
    const admin = createKafka(this.openConfig(), { retries: 3 }).admin()
    try {
      await admin.connect()
      return await work(admin)
    } finally {
      await admin.disconnect()
    }
  }
}

type Place = { directory: string; port: number; openPort: number; controllerPort: number }

function properties({ directory, port, openPort, controllerPort }: Place): string {
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule'
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=SECURED://127.0.0.1:${port},OPEN://127.0.0.1:${openPort},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=SECURED://127.0.0.1:${port},OPEN://127.0.0.1:${openPort}
controller.listener.names=CONTROLLER
listener.security.protocol.map=SECURED:SASL_SSL,OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OPEN
log.dirs=${directory}/data
ssl.keystore.type=PEM
ssl.keystore.location=${directory}/keystore.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config=${plain} required user_${USER}="${PASSWORD}";
listener.name.secured.scram-sha-256.sasl.jaas.config=${scram} required;
listener.name.secured.scram-sha-512.sasl.jaas.config=${scram} required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
`
}
