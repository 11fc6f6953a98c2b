/** A camera's frames, one at a time. */

import { fromSource, type Picture } from "../src/index.js";

/**
 * Frames of the camera until the signal. The next frame is taken only once the last was dealt with, so that however
 * slow that is nothing piles up: what came between is dropped.
 *
 * @throws DOMException: no camera, or no leave to use it.
 */
export async function* frames(video: HTMLVideoElement, signal: AbortSignal): AsyncGenerator<Picture> {
  if (!navigator.mediaDevices) throw new Error("no camera here: a browser lends it to https and localhost alone");
  const wanted = { video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } }, audio: false };
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  try {
    video.srcObject = stream;
    await video.play();
    while (!signal.aborted) {
      await nextFrame(video);
      if (!signal.aborted && video.videoWidth) yield fromSource(video, video.videoWidth, video.videoHeight);
    }
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }
}

/** The next new frame, or half a second: a camera that stalls must not keep the page from stopping it. */
function nextFrame(video: HTMLVideoElement): Promise<unknown> {
  const arrived = new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
  return Promise.race([arrived, new Promise((resolve) => setTimeout(resolve, 500))]);
}
