-- One row per line: whether it is an object, its names in each object, and its texts at the paths of the contract.
-- DuckDB reads JSON without recursion, so that deep nesting costs nothing but its own length.
select
    row_number,
    line,
    -- Nested, since both sides of an `and` are worked out, and what is no JSON has no type.
    coalesce(case when json_valid(line) then json_type(line) = 'OBJECT' end, false) as is_object,
    case when is_object then json_keys(line, $objects) end as names,
    case when is_object then json_extract_string(line, $values) end as texts
from lines
