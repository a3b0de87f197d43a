/** nginx with the nchan module, as one process of its own on loopback. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/embedded/free-port.ts'
import { endProcess, startProcess } from '../support/child-process.ts'
import { now } from '../support/clock.ts'
import { HttpConnection } from '../support/http-client.ts'
import { SMALL_ROOMS, type Target } from './target.ts'

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'
/** Its parallel publishers: a burst is sent by as many at once. */
const PUBLISHERS = 16
/** For what it opens beside the streams; it begins to close connections when a sixteenth is left. */
const filesFor = (connections: number) => Math.ceil(connections * 1.2) + 500

export const WITHOUT_NCHAN = 'nginx with nchan is not installed; on Debian: apt-get install -y nginx libnginx-mod-nchan'

export function hasNchan(): boolean {
  return spawnSync('nginx', ['-v']).error === undefined && existsSync(MODULE)
}

/**
 * @param payload what each event carries
 * @param connections as many streams as it is to hold
 */
export async function startNchan(payload: string, connections: number): Promise<Target> {
  const directory = await mkdtemp(join(tmpdir(), 'nchan-bench-'))
  const port = await freePort()
  const files = filesFor(connections)
  await writeFile(join(directory, 'nginx.conf'), configuration(directory, port, files))
  const child = startProcess('nginx', ['-c', join(directory, 'nginx.conf'), '-p', directory], {
    stdio: ['ignore', 2, 2],
    openFiles: files,
  })
  await delay(500)
  if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`)
  const publishers = await Promise.all(Array.from({ length: PUBLISHERS }, () => HttpConnection.open(port)))
  return {
    name: 'nchan',
    port,
    pid: await workerOf(child.pid ?? 0),
    storePid: undefined,
    listen: (n, room) =>
      `GET /listen/${room === 'small' ? n % SMALL_ROOMS : room} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`,
    async publish(rooms) {
      const sent = now()
      await Promise.all(
        publishers.map(async (publisher, n) => {
          for (let at = n; at < rooms.length; at += PUBLISHERS) {
            const { status, body } = await publisher.request('POST', `/publish/${rooms[at]}`, '', payload)
            if (status >= 300) throw new Error(`nchan answered ${status} ${body}`)
          }
        }),
      )
      return { sent, acknowledged: now() }
    },
    unrelated: (client) => client.request('GET', '/unrelated', ''),
    async stop() {
      for (const publisher of publishers) publisher.close()
      await endProcess(child)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The worker's process: the one that serves. */
async function workerOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return Number(children.trim().split(' ')[0])
}

function configuration(directory: string, port: number, files: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join('\n  ')
  return `load_module ${MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile ${files};
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections ${files - 100}; }
http {
  access_log off;
  ${temporary}
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_header_timeout 1h;
  nchan_max_reserved_memory 256m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /unrelated { return 200 "fine"; }
    location ~ ^/listen/(\\w+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval 5;
    }
    location ~ ^/publish/(\\w+)$ {
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
      nchan_message_timeout 1h;
    }
  }
}
`
}
