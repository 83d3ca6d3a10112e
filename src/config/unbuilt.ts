/**
 * What Dex understands and this server does not do yet. Each is refused with its sentence, never passed over in silence;
 * the list shrinks as parts are built. Connector and store types leave it by themselves when they enter their registry.
 */

interface Unbuilt {
  /** Keys as the reference spells them; `[]` stands for every entry. */
  path: string
  sentence: string
  /** Which values ask for the part; by default all but empty lists. */
  when?: (value: unknown) => boolean
}

const isFilled = (value: unknown): boolean => !(value === '' || (Array.isArray(value) && value.length === 0))
const LATER = 'is of a part that is not built yet'

export const unbuilt: readonly Unbuilt[] = []

/** Places of a value that ask for a part that is not built, as JSON pointers. */
export const findUnbuilt = (value: unknown): { pointer: string; sentence: string }[] =>
  unbuilt.flatMap(({ path, sentence, when = isFilled }) =>
    places(value, path.replaceAll('[]', '.[]').split('.'))
      .filter((place) => when(place.value))
      .map(({ pointer }) => ({ pointer, sentence })),
  )

const places = (value: unknown, path: string[]): { pointer: string; value: unknown }[] => {
  const [key, ...rest] = path
  if (key === undefined) return value === undefined ? [] : [{ pointer: '', value }]
  if (typeof value !== 'object' || value === null) return []
  const steps = key === '[]' ? Object.keys(value) : [key]
  return steps.flatMap((step) =>
    places((value as Record<string, unknown>)[step], rest).map((place) => ({
      ...place,
      pointer: `/${step}${place.pointer}`,
    })),
  )
}

/** Connector types of Dex; only those that the registry does not have count. */
export const DEX_CONNECTOR_TYPES = [
  'ldap',
  'gitlab',
  'google',
  'linkedin',
  'microsoft',
  'bitbucket-cloud',
  'gitea',
  'oauth',
  'saml',
  'samlExperimental',
  'openshift',
  'keystone',
  'atlassian-crowd',
  'authproxy',
]

/** Stores of Dex; only those that the registry does not have count. */
export const DEX_STORAGE_TYPES = ['sqlite3', 'postgres', 'mysql', 'etcd', 'kubernetes']

export const unbuiltType = (names: readonly string[]): string => `${LATER}; there is ${names.join(', ')}`
