/** An event for the service's log. It is plain JSON, except for the cause of an error. */
export type ServiceEvent =
  | {
      readonly event: 'request';
      readonly id: string;
      readonly method: string;
      readonly path: string;
      readonly status: number;
      readonly milliseconds: number;
      /** For completions: the model that answered, as `<model id>@<version>` or `base`. */
      readonly model?: string;
      readonly promptTokens?: number;
      readonly completionTokens?: number;
    }
  | {
      readonly event: 'switched';
      readonly modelId: string;
      readonly from: number | null;
      readonly to: number;
      /** The time to prepare the version, without its download. */
      readonly seconds: number;
    }
  /** The store did not answer, or its latest version was refused. The version served before stays in service. */
  | {
      readonly event: 'refused' | 'unreachable';
      readonly modelId: string;
      readonly serving: number | null;
      readonly message: string;
    }
  /** An unexpected error; the request with this id was answered with status 500. */
  | { readonly event: 'failed'; readonly id: string; readonly message: string; readonly cause: unknown };

/** Receives the service's events. */
export type ServiceLog = (event: ServiceEvent) => void;
