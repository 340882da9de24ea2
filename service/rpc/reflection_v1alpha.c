#include "grpc/reflection/v1alpha/reflection.server.h"

#define T(name) Grpc__Reflection__V1alpha__##name
#define VALUE(name) GRPC__REFLECTION__V1ALPHA__##name
#define FN(name) grpc__reflection__v1alpha__server_reflection__##name
#define BINDING reflection_v1alpha_binding

#include "service/rpc/reflection_service.inc"
