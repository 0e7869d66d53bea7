import { Log, LogLevel, type MiniflareOptions } from 'miniflare';
import type { WorkerConfiguration } from './configuration.ts';

export interface WorkerdSettings {
  readonly configuration: WorkerConfiguration;
  /** 0 for a free one. */
  readonly port: number;
  /** Where workerd keeps the objects' databases. */
  readonly storage: string;
  readonly token: string;
  readonly secret: string;
  /** Takes what the Worker and workerd log, one line at a time. */
  readonly log: (line: string) => void;
}

/** The Worker of `configuration` with its objects, as Miniflare wants it said. */
export function miniflareOptions(options: WorkerdSettings, script: string): MiniflareOptions {
  const { configuration } = options;
  const vars = { ...configuration.vars, ATOLL_TOKEN: options.token, ATOLL_SECRET: options.secret };
  const classes = [...new Set(configuration.objects.values())];
  return {
    host: '127.0.0.1',
    port: options.port,
    log: new LineLog(options.log),
    logRequests: false,
    cf: false,
    resourcePersistencePath: options.storage,
    handleStructuredLogs: ({ message }) => options.log(message),
    handleUncaughtError: (error) => options.log(error.stack ?? error.message),
    workers: [
      {
        config: {
          name: configuration.name,
          compatibilityDate: configuration.compatibilityDate,
          compatibilityFlags: [...configuration.compatibilityFlags],
          manifest: {
            mainModule: 'index.js',
            modulesRoot: options.storage,
            modules: { 'index.js': { type: 'esm', contents: script } },
          },
          env: {
            ...mapValues(vars, (value) => ({ type: 'text' as const, value })),
            ...mapValues(Object.fromEntries(configuration.objects), (exportName) => ({
              type: 'durable-object' as const,
              worker: configuration.name,
              exportName,
            })),
          },
          exports: Object.fromEntries(
            classes.map((name) => [name, { type: 'durable-object' as const, storage: 'sqlite' as const }]),
          ),
        },
        dev: { stripCfConnectingIp: true },
      },
    ],
  };
}

/** Miniflare would log to the console; its information is noise here, its warnings are not. */
class LineLog extends Log {
  readonly #sink: (line: string) => void;
  constructor(sink: (line: string) => void) {
    super(LogLevel.WARN);
    this.#sink = sink;
  }
  override log(message: string): void {
    this.#sink(message);
  }
}

function mapValues<From, To>(record: Record<string, From>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
