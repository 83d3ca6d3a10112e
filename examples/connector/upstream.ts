/** Plays the ticket office: whoever comes is Rosa. `node upstream.ts` serves it on port 5580. */
import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'

export interface Person {
  id: string
  name?: string
  mail?: string
  teams?: string[]
}

export const rosa: Person = { id: 'u-17', name: 'Rosa Meer', mail: 'rosa@example.com', teams: ['crew', 'lights'] }

/** @param people who is there, by id; the first one logs in */
export function ticketOffice(people: Map<string, Person>): Server {
  const tickets = new Map<string, Person>()

  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://ticket-office')
    const [, room, name = ''] = url.pathname.split('/')
    const tell = (person: Person | undefined) => {
      response.writeHead(person ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(person ?? {}))
    }
    const [first] = people.values()
    if (room === 'login' && first) {
      const ticket = randomUUID()
      tickets.set(ticket, first)
      const back = new URL(url.searchParams.get('return') ?? '')
      back.searchParams.set('ticket', ticket)
      response.writeHead(302, { location: back.href }).end()
    } else if (room === 'tickets') {
      tell(tickets.get(name))
      tickets.delete(name) // a ticket is good for one entrance
    } else if (room === 'people') {
      tell(people.get(decodeURIComponent(name)))
    } else {
      tell(undefined)
    }
  })
}

if (import.meta.main) {
  ticketOffice(new Map([[rosa.id, rosa]])).listen(5580, '127.0.0.1')
  console.log('The ticket office is open at http://127.0.0.1:5580')
}
