// The peer of tests/bench/unary.sh: echo.v1.EchoService/Echo on grpc-go, with just
// the fields that the load uses.
//
//	unary_server SOCKET
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
)

type echoRequest struct {
	Text string `protobuf:"bytes,1,opt,name=text,proto3"`
}

func (m *echoRequest) Reset()         { *m = echoRequest{} }
func (m *echoRequest) String() string { return proto.CompactTextString(m) }
func (*echoRequest) ProtoMessage()    {}

type echoResponse struct {
	Echo   *echoRequest `protobuf:"bytes,1,opt,name=echo,proto3"`
	Serial uint64       `protobuf:"varint,2,opt,name=serial,proto3"`
}

func (m *echoResponse) Reset()         { *m = echoResponse{} }
func (m *echoResponse) String() string { return proto.CompactTextString(m) }
func (*echoResponse) ProtoMessage()    {}

type server struct{ serial uint64 }

func handle(s interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	request := new(echoRequest)
	if err := decode(request); err != nil {
		return nil, err
	}
	return &echoResponse{Echo: request, Serial: atomic.AddUint64(&s.(*server).serial, 1)}, nil
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "echo.v1.EchoService",
		HandlerType: (*interface{})(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handle}},
	}, &server{})
	fmt.Println("ready")
	if err := s.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
