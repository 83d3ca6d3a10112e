/** The connector types that are built in: the one place that names them. */
import type { ConnectorType } from './contract.ts'
import { github } from './github.ts'
import { local } from './local.ts'
import { mockCallback } from './mock-callback.ts'
import { mockPassword } from './mock-password.ts'
import { oidc } from './oidc.ts'
import { okta } from './okta.ts'

/** By the word that stands under `type:` in a configuration. */
export const connectorTypes: Readonly<Record<string, ConnectorType>> = {
  github,
  local,
  mockCallback,
  mockPassword,
  oidc,
  okta,
}
