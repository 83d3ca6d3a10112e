/** Short forms for the schemas of keys, and the annotations that the generated reference reads. */
import { Type } from 'typebox'

/** Annotations beside JSON Schema's own. */
export interface Annotations {
  /** A default that depends on something else, as a phrase; `default` would be filled in. */
  'x-default'?: string
  /** The type as a reader calls it, where that says more than JSON Schema's. */
  'x-type'?: string
  /** Stock Dex does not know this key. */
  'x-own'?: true
  minLength?: number
}

export const text = (description: string, more: Annotations = {}) => Type.String({ description, ...more })

export const listOf = (description: string, more: Annotations = {}) =>
  Type.Array(Type.String(), { description, ...more })

/** A duration as Go writes it; its text is parsed by the rules, which explain it better than a pattern could. */
export const duration = (description: string, shown: string) =>
  Type.String({ description, 'x-type': 'duration', 'x-default': shown })
