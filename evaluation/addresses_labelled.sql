-- The example gazetteer and the addresses written in its place, from $folder.
create table gazetteer as
select
    uprn,
    concat_ws(', ', subname, name, concat_ws(' ', number, streetname), locality, townname) as address,
    postcode,
    parentuprn as parent_uprn,
from read_csv($folder || '/address_errors_example_components.csv', all_varchar = true)
order by uprn;

create table written as
select record_id, source_uprn, recorded_address as address, recorded_postcode as postcode
from read_csv($folder || '/address_errors_labelled_2088.csv', all_varchar = true)
order by record_id;
