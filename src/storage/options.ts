/** Which store, and its settings as the operator wrote them (checked against the driver's schema). */
export interface StorageOptions {
  type: string
  config: unknown
}
