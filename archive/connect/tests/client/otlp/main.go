// Sends the same profile with OpenTelemetry's encoder over HTTP with protobuf, HTTP with JSON, and gRPC. Arguments: URL,
// and the start of the profile in nanoseconds.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func text(of pprofile.ProfilesDictionary, text string) int32 {
	index, err := pprofile.SetString(of.StringTable(), text)
	check(err)
	return index
}

func attribute(of pprofile.ProfilesDictionary, to pcommon.Int32Slice, key, value string) {
	pair := pprofile.NewKeyValueAndUnit()
	pair.SetKeyStrindex(text(of, key))
	pair.Value().SetStr(value)
	index, err := pprofile.SetAttribute(of.AttributeTable(), pair)
	check(err)
	to.Append(index)
}

// Four samples at 100 Hz: two native ones of which one has a name, one of another service, and one without values.
func profiles(service string, start int64) pprofileotlp.ExportRequest {
	all := pprofile.NewProfiles()
	of := all.Dictionary()
	// Index 0 of each table means none.
	of.StringTable().Append("")
	of.MappingTable().AppendEmpty()
	of.LocationTable().AppendEmpty()
	of.FunctionTable().AppendEmpty()
	of.LinkTable().AppendEmpty()
	of.AttributeTable().AppendEmpty()
	of.StackTable().AppendEmpty()

	resource := all.ResourceProfiles().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	resource.Resource().Attributes().PutStr("k8s.pod.name", "web-1")
	resource.Resource().Attributes().PutInt("host.cpus", 4)
	scope := resource.ScopeProfiles().AppendEmpty()
	scope.Scope().Attributes().PutStr("scope.kind", "ebpf")
	profile := scope.Profiles().AppendEmpty()
	profile.SampleType().SetTypeStrindex(text(of, "samples"))
	profile.SampleType().SetUnitStrindex(text(of, "count"))
	profile.PeriodType().SetTypeStrindex(text(of, "cpu"))
	profile.PeriodType().SetUnitStrindex(text(of, "nanoseconds"))
	profile.SetPeriod(10_000_000)
	profile.SetTime(pcommon.Timestamp(start))
	profile.SetDurationNano(10_000_000_000)

	mapping := pprofile.NewMapping()
	mapping.SetFilenameStrindex(text(of, "libshop.so"))
	attribute(of, mapping.AttributeIndices(), "process.executable.build_id.gnu", "b5381a45")
	library, err := pprofile.SetMapping(of.MappingTable(), mapping)
	check(err)
	function := pprofile.NewFunction()
	function.SetNameStrindex(text(of, "main.serve"))
	function.SetFilenameStrindex(text(of, "main.go"))
	serve, err := pprofile.SetFunction(of.FunctionTable(), function)
	check(err)
	named := pprofile.NewLocation()
	line := named.Lines().AppendEmpty()
	line.SetFunctionIndex(serve)
	line.SetLine(42)
	main, err := pprofile.SetLocation(of.LocationTable(), named)
	check(err)
	native := pprofile.NewLocation()
	native.SetMappingIndex(library)
	native.SetAddress(0x1234)
	address, err := pprofile.SetLocation(of.LocationTable(), native)
	check(err)
	stack := func(locations ...int32) int32 {
		stack := pprofile.NewStack()
		stack.LocationIndices().Append(locations...)
		index, err := pprofile.SetStack(of.StackTable(), stack)
		check(err)
		return index
	}
	link := pprofile.NewLink()
	link.SetTraceID([16]byte{0x4b, 0xf9, 0x2f, 0x35, 15: 0x36})
	link.SetSpanID([8]byte{0x00, 0xf0, 0x67, 7: 0xb7})
	linked, err := pprofile.SetLink(of.LinkTable(), link)
	check(err)

	first := profile.Samples().AppendEmpty()
	first.SetStackIndex(stack(address, main))
	first.Values().Append(3)
	attribute(of, first.AttributeIndices(), "thread.name", "worker")
	second := profile.Samples().AppendEmpty()
	second.SetStackIndex(stack(main))
	second.SetLinkIndex(linked)
	second.Values().Append(2)
	third := profile.Samples().AppendEmpty()
	third.SetStackIndex(stack(main))
	third.Values().Append(5)
	attribute(of, third.AttributeIndices(), "service.name", service+"-sidecar")
	fourth := profile.Samples().AppendEmpty()
	fourth.SetStackIndex(stack(main))
	fourth.TimestampsUnixNano().Append(uint64(start), uint64(start)+1)
	return pprofileotlp.NewExportRequestFromProfiles(all)
}

func post(url, media string, body []byte) {
	response, err := http.Post(url+"/v1development/profiles", media, bytes.NewReader(body))
	check(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != media {
		check(fmt.Errorf("%s: %s %q", media, response.Status, answer))
	}
	decoded := pprofileotlp.NewExportResponse()
	if media == "application/json" {
		check(decoded.UnmarshalJSON(answer))
	} else {
		check(decoded.UnmarshalProto(answer))
	}
}

func main() {
	url := os.Args[1]
	start, err := strconv.ParseInt(os.Args[2], 10, 64)
	check(err)
	body, err := profiles("over-protobuf", start).MarshalProto()
	check(err)
	post(url, "application/x-protobuf", body)
	body, err = profiles("over-json", start).MarshalJSON()
	check(err)
	post(url, "application/json", body)
	connection, err := grpc.NewClient(
		"passthrough:///"+strings.TrimPrefix(url, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	check(err)
	client := pprofileotlp.NewGRPCClient(connection)
	_, err = client.Export(context.Background(), profiles("over-grpc", start))
	check(err)
	_, err = client.Export(context.Background(), profiles("over-grpc-gzip", start), grpc.UseCompressor("gzip"))
	check(err)
	// A refusal is an error of gRPC with the reason.
	broken := pprofile.NewProfiles()
	profile := broken.ResourceProfiles().AppendEmpty().ScopeProfiles().AppendEmpty().Profiles().AppendEmpty()
	profile.Samples().AppendEmpty().SetStackIndex(7)
	_, err = client.Export(context.Background(), pprofileotlp.NewExportRequestFromProfiles(broken))
	fmt.Println(err)
}
