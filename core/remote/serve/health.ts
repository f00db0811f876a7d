/** grpc.health.v1: whether the server takes calls, asked by load balancers and orchestrators. */
import grpc from "@grpc/grpc-js";
import { servicePath } from "../wire.js";
import { loadProto, serviceOf } from "./protocols.js";

/** By their numbers in proto/grpc/health.proto. */
const statuses = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

interface Request {
  readonly service?: string;
}
interface Response {
  readonly status: number;
}

export class Health {
  readonly #isHealthy: () => boolean;
  readonly #watches = new Map<grpc.ServerWritableStream<Request, Response>, number>();

  /** `isHealthy` is asked at every check, and at every `changed`. */
  constructor(server: grpc.Server, isHealthy: () => boolean) {
    this.#isHealthy = isHealthy;
    server.addService(serviceOf(loadProto("grpc/health.proto"), "grpc.health.v1.Health"), {
      Check: ({ request }: grpc.ServerUnaryCall<Request, Response>, answered: grpc.sendUnaryData<Response>): void => {
        const status = this.#statusOf(request);
        if (status !== statuses.SERVICE_UNKNOWN) answered(null, { status });
        else answered({ code: grpc.status.NOT_FOUND, details: `there is no service ${request.service}` });
      },
      Watch: (call: grpc.ServerWritableStream<Request, Response>): void => {
        this.#tell(call);
        const over = (): void => void this.#watches.delete(call);
        call.on("cancelled", over);
        call.on("close", over);
      },
    });
  }

  #statusOf({ service = "" }: Request): number {
    if (service !== "" && service !== servicePath) return statuses.SERVICE_UNKNOWN;
    return this.#isHealthy() ? statuses.SERVING : statuses.NOT_SERVING;
  }

  #tell(call: grpc.ServerWritableStream<Request, Response>): void {
    const status = this.#statusOf(call.request);
    if (this.#watches.get(call) === status) return;
    this.#watches.set(call, status);
    call.write({ status });
  }

  /** Tells those who watch, if it is news. */
  changed(): void {
    for (const call of this.#watches.keys()) this.#tell(call);
  }

  /** Tells them the last, and ends: they must not hold a server that shuts down. */
  close(): void {
    this.changed();
    for (const call of this.#watches.keys()) call.end();
  }
}
