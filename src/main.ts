/** The command `countersign`; also answers to `dex`, whose arguments it takes. */
import { spawn } from 'node:child_process'
import { Command, CommanderError } from 'commander'
import { version } from './version.ts'

const failed = 2

const program = new Command('countersign')
  .description('A federating OpenID Connect provider that runs Dex configuration files')
  .version(version)
  .exitOverride()
  .showHelpAfterError()

/** As Dex's flags; each wins over the file. */
const flagNames = {
  webHttpAddr: 'webHttp',
  webHttpsAddr: 'webHttps',
  telemetryAddr: 'telemetry',
  grpcAddr: 'grpc',
} as const

program
  .command('serve')
  .description('serve a configuration file')
  .argument('<file>', 'configuration file, YAML or JSON')
  .option('--web-http-addr <address>', 'instead of web.http')
  .option('--web-https-addr <address>', 'instead of web.https')
  .option('--telemetry-addr <address>', 'instead of telemetry.http')
  .option('--grpc-addr <address>', 'instead of grpc.addr')
  .option('--strict', 'take every warning for a fault', false)
  .action(async (file: string, { strict, ...given }: Record<string, string> & { strict: boolean }) => {
    const { serve } = await import('./cli/serve.ts')
    const { env, stderr } = process
    process.exitCode = await serve(file, { strict, env, stderr, version, flags: flagsOf(given) })
    // Timers and sockets of upstreams may be left; everything that matters is closed.
    process.exit()
  })

program
  .command('check')
  .description('say whether a configuration file would start, and all that is wrong or doubtful in it')
  .argument('<file>', 'configuration file, YAML or JSON')
  .option('--strict', 'take every warning for a fault', false)
  .action(async (file: string, { strict }: { strict: boolean }) => {
    const { check } = await import('./cli/check.ts')
    const { env, stdout } = process
    process.exitCode = await check(file, { strict, env, stdout })
  })

const keys = program.command('keys').description('look at the signing keys, rotate them, seal the store anew')

keys
  .command('list')
  .description('print the signing keys')
  .argument('<file>', 'configuration file of the server')
  .action(async (file: string) => {
    const { listKeys } = await import('./cli/keys.ts')
    process.exitCode = await listKeys(file, commandContext())
  })

keys
  .command('rotate')
  .description('let the next signing keys take over now; the server may run')
  .argument('<file>', 'configuration file of the server')
  .action(async (file: string) => {
    const { rotateKeys } = await import('./cli/keys.ts')
    process.exitCode = await rotateKeys(file, commandContext())
  })

keys
  .command('reseal')
  .description('make a new sealing key and seal the store with it; the server must be stopped')
  .argument('<file>', 'configuration file of the server')
  .option('--forget', 'drop the former sealing keys: what they sealed in backups is lost', false)
  .action(async (file: string, { forget }: { forget: boolean }) => {
    const { resealKeys } = await import('./cli/keys.ts')
    process.exitCode = await resealKeys(file, { forget }, commandContext())
  })

program
  .command('mfa')
  .description('second factors of people')
  .command('reset')
  .description('take second factors from a person who has lost them; the next login sets up new ones')
  .argument('<file>', 'configuration file, YAML or JSON')
  .requiredOption('--connector <id>', 'the connector that the person logs in with')
  .requiredOption('--user <id>', 'their id at that connector, "user_id" in the audit log')
  .option('--authenticator <id>', 'only this one')
  .action(async (file: string, given: { connector: string; user: string; authenticator?: string }) => {
    const { resetFactors } = await import('./cli/mfa.ts')
    const { env, stdout, stderr } = process
    process.exitCode = await resetFactors(file, { ...given, env, stdout, stderr })
  })

program
  .command('schema')
  .description('print a JSON Schema of configuration files, for editors')
  .action(async () => {
    const { printSchema } = await import('./cli/schema.ts')
    printSchema(process.stdout)
  })

program
  .command('login')
  .description('log in at any OpenID provider and print the claims of the ID token')
  .requiredOption('--issuer <url>', 'the provider')
  .requiredOption('--client-id <id>', 'a client that is registered there')
  .option('--client-secret-env <name>', 'environment variable that holds the secret; absent for a public client')
  .option('--scopes <scopes>', 'separated by blanks')
  .option('--device', 'device grant instead of a browser on this machine')
  .option('--no-browser', 'print the address only')
  .option('--redirect-port <port>', 'port of http://127.0.0.1:PORT/callback', Number)
  .option('--ca <file>', 'further trusted certificates, PEM')
  .option('--param <name=value>', 'further parameter of the request, such as connector_id=okta', collect, {})
  .action(async ({ param: parameters, ...command }) => {
    const { login } = await import('./cli/login.ts')
    process.exitCode = await login(
      { ...command, parameters },
      {
        out: (text) => void process.stdout.write(text),
        err: (text) => void process.stderr.write(text),
        env: process.env,
        open: openBrowser,
      },
    )
  })

program
  .command('version')
  .description('print the version')
  .action(() => {
    process.stdout.write(`Countersign Version: ${version}\nNode Version: ${process.version}\n`)
    process.stdout.write(`Node OS/ARCH: ${process.platform} ${process.arch}\n`)
  })

function commandContext() {
  const { env, stdout, stderr } = process
  return { env, stdout, stderr, version }
}

function flagsOf(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(flagNames).flatMap(([option, flag]) => (given[option] === undefined ? [] : [[flag, given[option]]])),
  )
}

function collect(text: string, all: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=')
  return at < 1 ? all : { ...all, [text.slice(0, at)]: text.slice(at + 1) }
}

function openBrowser(url: string): void {
  const command = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open'
  spawn(command, [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : failed
}
