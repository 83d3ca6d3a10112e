export interface LogOptions {
  /** As slog's levels: debug -4, info 0, warn 4, error 8, with offsets such as `info+2` = 2. */
  level: number
  format: 'text' | 'json'
  /** Attributes that are left out of every record. */
  excludeFields: string[]
}

export interface TelemetryOptions {
  /** `host:port` of the listener for health and metrics; absent: none. */
  http?: string
  enableProfiling: boolean
}
