import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { openPlace } from '../server/program.ts'
describe('x', () => {
  it('y', async () => {
    await using place = await openPlace()
    await place.configure({ storage: place.lowdb, ...JSON.parse(process.env.MORE ?? '{}') })
    for (let k = 0; k < 4; k++) {
      await using server = await place.serve(undefined, { command: [process.execPath, '/tmp/pk/inst/bin/countersign.js'] })
      await pause(4500)
      console.log(/RssAnon.*\n.*RssFile.*/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))![0].replace(/\s+/g, ' '))
      await server.stop('SIGTERM')
    }
  })
})
