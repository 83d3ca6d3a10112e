/** Keys of a client that say who may use it; all are ours. */
import { Type } from 'typebox'
import { listOf, text } from './annotate.ts'

export const clientAccess = {
  disabled: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Switches the client off: no login, no token, and tokens that it has are refused at userinfo and introspection.',
      'x-own': true,
    }),
  ),
  requiredGroups: Type.Optional(
    listOf('Groups of which a person must be in at least one; empty: everybody may use it.', { 'x-own': true }),
  ),
  contact: Type.Optional(
    text('Whom to ask for access, for the page that somebody outside `requiredGroups` sees.', { 'x-own': true }),
  ),
}
