/** The hand-written part of docs/configuration.md. */
import type { Switch } from '../config/environment.ts'

export const introduction = `# Configuration

<!-- Made by "npm run docs" from the schemas in src/config/keys and of each type. Do not edit. -->

A configuration file of Dex works as it is. \`countersign check FILE\` says what is wrong or doubtful in one, each with file, line,
place and the nearest valid name, and exits with 0 when \`countersign serve FILE\` would start, else with 2. \`--strict\` makes
every warning an error. \`countersign schema\` prints a JSON Schema for editors.

## How a file is read

- YAML 1.1 as Dex's library reads it, or JSON. Only the first document counts.
- Keys match in any case. Unknown ones are passed over with a warning; a key whose value is empty (\`null\`) counts as absent.
- Values keep their types: text that looks like a number or a word such as \`yes\`, \`no\`, \`on\`, \`off\` needs quotes.
- Durations are written as in Go: \`300ms\`, \`90s\`, \`5m\`, \`1h30m\`. There is no unit for days.
- \`$NAME\` and \`\${NAME}\` in texts of \`config:\` blocks (of \`storage\`, \`signer\` and each of \`connectors\`) are taken from the
  environment. A variable that is not set is an error. There is no way to write a plain \`$\` before a letter, a digit or another
  \`$\`; \`DEX_EXPAND_ENV=false\` switches the expansion off.
- Relative paths start from the current folder; those of connector modules from the folder of the file.
- Flags of \`serve\` win over the file: \`--web-http-addr\`, \`--web-https-addr\`, \`--telemetry-addr\`, \`--grpc-addr\`.
`

export const SWITCH_EFFECTS: Record<Switch, string> = {
  DEX_EXPAND_ENV: 'Take variables in `config:` blocks from the environment.',
  DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'Unknown keys are errors.',
  DEX_CONTINUE_ON_CONNECTOR_FAILURE: 'Start without a connector that fails to open.',
  DEX_SESSIONS_ENABLED: 'Single sign-on sessions with the defaults where there is no `sessions:` block.',
  DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'Not built yet; warns.',
}
