/** What the service tells whoever runs it; plain JSON but for an error's cause. */
export type ServiceEvent =
  | {
      readonly event: 'request';
      readonly id: string;
      readonly method: string;
      readonly path: string;
      readonly status: number;
      readonly milliseconds: number;
      /** Of a completion: what answered, as `<model id>@<version>` or `base`. */
      readonly model?: string;
      readonly promptTokens?: number;
      readonly completionTokens?: number;
    }
  | {
      readonly event: 'switched';
      readonly modelId: string;
      readonly from: number | null;
      readonly to: number;
      /** Beyond the download. */
      readonly seconds: number;
    }
  /** A look at the store failed, or what it found is refused; what was served before goes on. */
  | {
      readonly event: 'refused' | 'unreachable';
      readonly modelId: string;
      readonly serving: number | null;
      readonly message: string;
    }
  /** Nobody foresaw it; the request with this id got a 500. */
  | { readonly event: 'failed'; readonly id: string; readonly message: string; readonly cause: unknown };

/** Hears what the service tells. */
export type ServiceLog = (event: ServiceEvent) => void;
