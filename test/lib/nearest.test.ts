import assert from 'node:assert/strict'
import { nearest } from '../../src/lib/nearest.ts'

describe('the nearest name', () => {
  it('is the one with the fewest edits', () => {
    assert.equal(nearest('redirectUrl', ['redirectURIs', 'redirectURI', 'secret']), 'redirectURI')
  })
  it('counts two swapped letters as one edit', () => assert.equal(nearest('oauht2', ['oauth2', 'expiry']), 'oauth2'))
  it('does not mind upper and lower case', () => assert.equal(nearest('MEMORY', ['memory', 'lowdb']), 'memory'))
  it('takes a word that was cut off', () => assert.equal(nearest('auth', ['authorization_code']), 'authorization_code'))
  it('is none when nothing is near', () => assert.equal(nearest('frobnicate', ['issuer', 'web']), undefined))
  it('is none for a single letter', () => assert.equal(nearest('c', ['a', 'b']), undefined))
  it('is none for an empty word', () => assert.equal(nearest('', ['a']), undefined))
})
