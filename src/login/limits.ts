/**
 * How often a password, a second factor, a user code or a device flow may be tried. Counted in this process: with several replicas
 * each has its own counts, and after a restart they begin anew.
 */
import { createHmac, randomBytes } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

/** So many tries in a window that begins with the first of them; then none until it is over. */
export interface Limit {
  tries: number
  seconds: number
}

export interface LimitOptions {
  /**
   * Wrong passwords for one name at one connector. Whoever knows a name can keep its owner out by guessing on purpose:
   * that is the price of stopping guesses from many addresses, so the window is short and it ends by itself.
   */
  passwordPerName: Limit
  /** Wrong passwords from one address, for any name: an office behind one address is many people. */
  passwordPerAddress: Limit
  /**
   * Second factors of one person at one authenticator, once the first is known: with three codes good at a time, guessing
   * at this rate for a day has one chance in 460.
   */
  factorPerPerson: Limit
  userCodePerAddress: Limit
  /** User codes from everywhere: with ten codes waiting, guessing at this rate finds one of 20^8 in sixteen years. */
  userCodeTotal: Limit
  deviceStartPerAddress: Limit
  /** Device flows from everywhere: with the usual five minutes of life it bounds how many wait at once. */
  deviceStartTotal: Limit
  registrationPerAddress: Limit
  registrationTotal: Limit
  /** Documents of clients that somebody makes this server fetch. */
  clientDocumentPerAddress: Limit
  clientDocumentTotal: Limit
  /** Requests that are pushed in the name of public clients. */
  pushedPerAddress: Limit
  /** From everywhere: with a minute of life it bounds how many wait at once. */
  pushedTotal: Limit
  /** What upstreams send by themselves; each costs a check of a signature at most. */
  upstreamMessagePerAddress: Limit
  /**
   * How many counts each limit keeps at most, about 360 bytes each. Names and addresses are spread over them by a keyed
   * hash, so no flood of made-up names fills the memory, and nobody can work out which other name shares a count.
   */
  counters: number
}

const defaults: LimitOptions = {
  passwordPerName: { tries: 10, seconds: 600 },
  passwordPerAddress: { tries: 100, seconds: 600 },
  factorPerPerson: { tries: 5, seconds: 600 },
  userCodePerAddress: { tries: 10, seconds: 60 },
  userCodeTotal: { tries: 300, seconds: 60 },
  deviceStartPerAddress: { tries: 60, seconds: 60 },
  deviceStartTotal: { tries: 3000, seconds: 300 },
  registrationPerAddress: { tries: 20, seconds: 600 },
  registrationTotal: { tries: 300, seconds: 600 },
  clientDocumentPerAddress: { tries: 30, seconds: 60 },
  clientDocumentTotal: { tries: 600, seconds: 60 },
  pushedPerAddress: { tries: 60, seconds: 60 },
  pushedTotal: { tries: 3000, seconds: 60 },
  upstreamMessagePerAddress: { tries: 600, seconds: 60 },
  counters: 100_000,
}

export interface Attempt {
  /** As it was typed. */
  name: string
  /** As `src/server/client-address.ts` gives it. What is not countable stands for many people and is never counted. */
  address: { address: string; countable: boolean }
}

export interface Refusal {
  /** Whole seconds until a try makes sense again, at least 1. */
  retryAfter: number
  /** Whose count is used up. */
  key: 'name' | 'address' | 'total'
}

/** Of which person, and which authenticator. */
export interface LimitedFactor {
  connectorId: string
  userId: string
  authenticatorId: string
}

/** Each question counts at once and then answers: undefined, go on. So fifty at the same moment do not all pass. */
export interface Limits {
  /** Asked before a password is checked. What the connector could not check stays counted like a wrong password. */
  password(connectorId: string, attempt: Attempt): Promise<Refusal | undefined>
  /**
   * Told after a right password: the name's count begins anew. The address gets only this try back, else one own
   * account would pay for guesses at all others.
   */
  passwordAccepted(connectorId: string, attempt: Attempt): Promise<void>
  /** Asked before a code or key of a person is looked at. `key` is `name`. */
  factor(factor: LimitedFactor): Promise<Refusal | undefined>
  /** Told after a right one: the count begins anew. */
  factorAccepted(factor: LimitedFactor): Promise<void>
  /** Asked before a user code of the device page is looked up (RFC 8628, section 5.1). */
  userCode(address: Attempt['address']): Promise<Refusal | undefined>
  /** Asked before `/device/code`, which anybody may call, stores anything. */
  deviceStart(address: Attempt['address']): Promise<Refusal | undefined>
  /** Asked before a client registers itself (RFC 7591), which stores something durable. */
  registration(address: Attempt['address']): Promise<Refusal | undefined>
  /** Asked before a document is fetched whose address somebody sent. */
  clientDocument(address: Attempt['address']): Promise<Refusal | undefined>
  /** Asked before a request that was pushed in the name of a public client is kept (RFC 9126). */
  pushed(address: Attempt['address']): Promise<Refusal | undefined>
  /** Asked before a message of an upstream, which anybody may send, is judged. */
  upstreamMessage(address: Attempt['address']): Promise<Refusal | undefined>
}

export function openLimits(options: Partial<LimitOptions> = {}): Limits {
  const { counters, ...limits } = { ...defaults, ...options }
  const names = open(limits.passwordPerName)
  const addresses = open(limits.passwordPerAddress)
  const factors = open(limits.factorPerPerson)
  const userCodeAddresses = open(limits.userCodePerAddress)
  const userCodes = open(limits.userCodeTotal)
  const deviceAddresses = open(limits.deviceStartPerAddress)
  const upstreamMessages = open(limits.upstreamMessagePerAddress)
  const deviceStarts = open(limits.deviceStartTotal)
  const pushedAddresses = open(limits.pushedPerAddress)
  const pushed = open(limits.pushedTotal)

  const registrationAddresses = open(limits.registrationPerAddress)
  const registrations = open(limits.registrationTotal)
  const documentAddresses = open(limits.clientDocumentPerAddress)
  const documents = open(limits.clientDocumentTotal)

  const secret = randomBytes(32)
  const slot = (...parts: string[]): number =>
    createHmac('sha256', secret).update(parts.join('\0')).digest().readUIntBE(0, 6) % counters
  const nameSlot = (connectorId: string, name: string): number => slot(connectorId, canonical(name))
  const factorSlot = ({ connectorId, userId, authenticatorId }: LimitedFactor): number =>
    slot(connectorId, userId, authenticatorId)
  const addressSlot = (address: string): number => slot(network(address))

  const byAddress = async (limiter: RateLimiterMemory, { address, countable }: Attempt['address']) =>
    countable ? take(limiter, addressSlot(address), 'address') : undefined

  // Everywhere the address is asked first: whose own count is used up takes nothing from one that others need.
  return {
    async password(connectorId, { name, address }) {
      return (await byAddress(addresses, address)) ?? take(names, nameSlot(connectorId, name), 'name')
    },

    async passwordAccepted(connectorId, { name, address: { address, countable } }) {
      await names.delete(nameSlot(connectorId, name))
      if (countable) await giveBack(addresses, addressSlot(address))
    },

    factor: (factor) => take(factors, factorSlot(factor), 'name'),

    async factorAccepted(factor) {
      await factors.delete(factorSlot(factor))
    },

    async userCode(address) {
      return (await byAddress(userCodeAddresses, address)) ?? take(userCodes, 'everybody', 'total')
    },

    async deviceStart(address) {
      return (await byAddress(deviceAddresses, address)) ?? take(deviceStarts, 'everybody', 'total')
    },

    async registration(address) {
      return (await byAddress(registrationAddresses, address)) ?? take(registrations, 'everybody', 'total')
    },

    async clientDocument(address) {
      return (await byAddress(documentAddresses, address)) ?? take(documents, 'everybody', 'total')
    },

    async pushed(address) {
      return (await byAddress(pushedAddresses, address)) ?? take(pushed, 'everybody', 'total')
    },
    upstreamMessage: (address) => byAddress(upstreamMessages, address),
  }
}

const open = ({ tries, seconds }: Limit): RateLimiterMemory =>
  new RateLimiterMemory({ points: tries, duration: seconds, keyPrefix: '' })

async function take(
  limiter: RateLimiterMemory,
  counter: string | number,
  key: Refusal['key'],
): Promise<Refusal | undefined> {
  try {
    await limiter.consume(counter)
    return undefined
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    return { retryAfter: Math.max(1, Math.ceil(refused.msBeforeNext / 1000)), key }
  }
}

/** Nothing where the window of that try is over, so that no count begins below zero. */
async function giveBack(limiter: RateLimiterMemory, counter: number): Promise<void> {
  const now = await limiter.get(counter)
  if (now !== null && now.consumedPoints > 0) await limiter.reward(counter)
}

/**
 * One text for all that an upstream may take for the same name: directories and databases ignore case, width, spaces,
 * accents (Active Directory, MySQL) and what cannot be seen. Two people who thereby share a count lose little; a second
 * spelling with its own count would double the guesses. That a user name and an e-mail address are one person's only the
 * upstream knows.
 */
const canonical = (name: string): string =>
  name
    .normalize('NFKD')
    // Both ways is the nearest to case folding that the language has: ẞ, ß and SS, or the two small sigmas.
    .toLowerCase()
    .toUpperCase()
    .normalize('NFKD')
    .replace(/[\s\p{Mn}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')

/** A line has an IPv6 /64 to itself, with more addresses than anybody can count. */
const network = (address: string): string =>
  address.includes(':') ? ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString() : address
