/** @file Download from the Hugging Face hub; all that it takes is loaded with the first model. */
import type { HubDownloadOptions, HubModel } from './hub-model.js';

/** As `downloadHubModel` in `hub-model.ts` says. */
export async function downloadHubModel(
  hubId: string,
  directory: string,
  options: HubDownloadOptions,
): Promise<HubModel> {
  const { downloadHubModel: download } = await import('./hub-model.js');
  return download(hubId, directory, options);
}
