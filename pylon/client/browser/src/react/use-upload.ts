// Uploading from a component, with its progress.

import { useCallback, useMemo, useRef, useState } from "react";
import { PylonError, type FileObject, type UploadOptions, type UploadProgress } from "../index.ts";
import { useDatabase } from "./provider.ts";

export interface UploadState {
  /** Uploads a file; resolves with what a field of a row takes. */
  readonly upload: (file: Blob, options?: UploadOptions) => Promise<FileObject>;
  /** How far the newest upload is; null before the first. */
  readonly progress: UploadProgress | null;
  /** What the newest upload made. */
  readonly file: FileObject | null;
  readonly error: Error | null;
  readonly pending: boolean;
  /** Gives the newest upload up. */
  readonly cancel: () => void;
}

const IDLE = { progress: null, file: null, error: null, pending: false };

/** Returns a way to upload a file, and how far the newest upload is. One under way goes on without the component. */
export function useUpload(): UploadState {
  const db = useDatabase();
  const [state, setState] = useState<Omit<UploadState, "upload" | "cancel">>(IDLE);
  const newest = useRef<AbortController | null>(null);
  const upload = useCallback(async (file: Blob, options: UploadOptions = {}): Promise<FileObject> => {
    const own = new AbortController();
    newest.current = own;
    const show = (change: Partial<UploadState>): void => {
      if (newest.current === own) setState((before) => ({ ...before, ...change }));
    };
    setState({ ...IDLE, pending: true });
    try {
      const made = await db.upload(file, {
        ...options,
        signal: options.signal === undefined ? own.signal : AbortSignal.any([own.signal, options.signal]),
        onProgress: (progress) => {
          show({ progress });
          options.onProgress?.(progress);
        },
      });
      show({ file: made, pending: false });
      return made;
    } catch (error) {
      const isGivenUp = own.signal.aborted || options.signal?.aborted === true;
      const known = error instanceof Error ? error : new PylonError({ code: "INTERNAL", message: String(error) });
      show(isGivenUp ? IDLE : { error: known, pending: false });
      throw known;
    }
  }, [db]);
  const cancel = useCallback(() => newest.current?.abort(), []);
  return useMemo(() => ({ ...state, upload, cancel }), [state, upload, cancel]);
}
