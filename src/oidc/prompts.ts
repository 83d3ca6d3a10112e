/** The engine's interaction policy: it asks the person nothing. */
import { interactionPolicy } from 'oidc-provider'
import { resolvedCheck } from './resolve.ts'

const { Check, Prompt } = interactionPolicy

/** A safeguard: nobody gets here whose login has not ended, since pages of ours come first. They hear who asks for a prompt. */
export const prompts = () => [
  new Prompt(
    { name: 'login', requestable: true },
    resolvedCheck(),
    new Check('no_session', 'the end-user has to log in', 'login_required', (ctx) => !ctx.oidc.session?.accountId),
  ),
  new Prompt({ name: 'consent', requestable: true }),
  new Prompt({ name: 'select_account', requestable: true }),
]
