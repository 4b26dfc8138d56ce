"""Values of formats that only we know, for schemathesis: an empty cursor is the beginning of every list."""
import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("cursor", st.just(""))
schemathesis.openapi.format("etag", st.sampled_from(["*", '"1"', '"2", "3"']))
schemathesis.openapi.format("domain", st.sampled_from(["chu-nord.mssante.test", "annexe.example"]))
