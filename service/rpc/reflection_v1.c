#include "grpc/reflection/v1/reflection.server.h"

#define T(name) Grpc__Reflection__V1__##name
#define VALUE(name) GRPC__REFLECTION__V1__##name
#define FN(name) grpc__reflection__v1__server_reflection__##name
#define BINDING reflection_v1_binding

#include "service/rpc/reflection_service.inc"
